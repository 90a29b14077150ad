"""Which shapes have kernels of their own, and what those are told of them."""

from __future__ import annotations

import math
import re

import pytest
from checks.tasks import PASSES, task

from gpucnn.cuda import bands, dense_gradients, plans
from gpucnn.cuda.bands import Sight, Tile
from gpucnn.cuda.families import apart, band, band_backward, band_weight, sliding
from gpucnn.cuda.machine import nominal
from gpucnn.resources import folder

RESNET20 = ((128, 32, 32, 16), (16, 3, 3, 16)), {"padding": 1}
LENET = ((512, 28, 28, 1), (6, 5, 5, 1)), {}
IMAGENET = ((128, 224, 224, 3), (64, 7, 7, 3)), {"stride": 2, "padding": 3}
MOBILE = ((128, 56, 56, 144), (144, 3, 3, 1)), {"padding": 1}
STRIDED = ((128, 32, 32, 16), (32, 3, 3, 16)), {"stride": 2, "padding": 1}
LARGE = ((128, 14, 14, 256), (256, 3, 3, 256)), {"padding": 1}


@pytest.mark.parametrize(
    ("shapes", "which", "family"),
    [
        (RESNET20, "forward", "band"),
        (RESNET20, "backward_data", "band"),
        (RESNET20, "backward_weight", "band_weight"),
        (STRIDED, "backward_data", "band"),
        (LENET, "forward", "band"),
        (LENET, "backward_weight", "band_weight"),
        (IMAGENET, "forward", "band"),
        (MOBILE, "forward", "sliding"),
        (MOBILE, "backward_data", "sliding"),
        (MOBILE, "backward_weight", "sliding"),
        (LARGE, "forward", "tiled"),
        (LARGE, "backward_data", "tiled"),
        (LARGE, "backward_weight", "tiled"),
    ],
)
def test_by_default_float32_is_computed_by(shapes, which, family):
    (x_shape, w_shape), window = shapes
    assert plans.chosen(task(which, x_shape, w_shape, **window)).family == family


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_float64_is_left_to_kernels_for_all_shapes(dtype):
    for (x_shape, w_shape), window in (RESNET20, MOBILE):
        found = {plan.family for plan in plans.candidates(task("forward", x_shape, w_shape, dtype, **window))}
        assert bool(found & {"band", "sliding"}) == (dtype != "float64")


def test_what_a_family_cannot_compute_it_has_no_plans_for():
    assert not band_weight.plans(task("backward_data", (2, 8, 8, 4), (4, 3, 3, 4), stride=2))
    assert not band.plans(task("backward_data", (2, 8, 8, 4), (4, 3, 3, 4), stride=(256, 257)))
    assert not band.plans(task("forward", (2, 8, 8, 4), (4, 3, 3, 2)))
    assert not band.plans(task("forward", (0, 8, 8, 4), (4, 3, 3, 4)))
    assert not band.plans(task("forward", (1, 70, 2, 4096), (8, 9, 2, 4096)))
    assert not sliding.plans(task("backward_data", (2, 8, 8, 4), (8, 3, 3, 1)))
    for window in ({"stride": (1, 2)}, {"dilation": 2}):
        assert not sliding.plans(task("forward", (2, 8, 8, 4), (4, 3, 3, 1), **window))
    assert not sliding.plans(task("forward", (2, 8, 8, 4), (4, 3, 4, 1)))


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        (RESNET20, True),
        (LENET, False),  # of one channel
        (LARGE, False),
        (STRIDED, False),
    ],
)
def test_both_gradients_are_computed_at_once_where_that_is_faster(shapes, found):
    (x_shape, w_shape), window = shapes
    given = task("both_gradients", x_shape, w_shape, **window)
    assert (plans.candidates(given)[0].family == "band_backward") == found


def test_both_gradients_are_twice_the_work_and_their_passes_what_it_is_beside():
    (x_shape, w_shape), window = RESNET20
    both, data, weight = (task(which, x_shape, w_shape, **window) for which in ("both_gradients", *PASSES[1:]))
    assert both.flops == data.flops + weight.flops
    assert both.bytes == data.bytes + 4 * (math.prod(x_shape) + math.prod(w_shape))
    assert apart.passes(both) == [data, weight]
    machine = nominal(both.architecture)
    best = [plans.candidates(one)[0] for one in (data, weight)]
    alone = [plans.families()[p.family].estimate(one, p, machine) for one, p in zip((data, weight), best, strict=True)]
    assert apart.estimate(both, apart.plans(both)[0], machine) == sum(alone)


def test_bands_fit_into_the_memory_that_kernels_declare(rng):
    header = (folder("kernels") / "band.cuh").read_text()
    assert f"BAND = {bands.BAND}," in header
    for name, threads in (
        ("conv2d_band", band.THREADS),
        ("conv2d_band_weight", band_weight.THREADS),
        ("conv2d_band_backward", band_backward.THREADS),
    ):
        assert re.search(rf"#define \w+_THREADS {threads}\n", (folder("kernels") / f"{name}.cu").read_text())
    for _ in range(100):
        size, kernel, stride = int(rng.integers(5, 60)), int(rng.choice([1, 3, 5])), int(rng.choice([1, 2]))
        depth, outputs = (int(2 ** rng.uniform(0, 9)) for _ in range(2))
        for which in ("forward", "backward_data", "backward_weight"):
            given = task(which, (4, size, size, depth), (outputs, kernel, kernel, depth), stride=stride)
            for plan in band.plans(given) + band_weight.plans(given):
                tile, sight = Tile.planned(given, plan), Sight.of(given)
                assert tile.band <= bands.BAND
                assert tile.rows <= sight.rows
                assert tile.columns <= sight.columns
                if plan.family == "band":
                    threads = band._threads(given, plan.option("pixels"), tile)
                    assert threads <= band.THREADS
                    assert threads // band._groups(given) * plan.option("pixels") >= tile.outputs
                else:
                    assert 1 <= plan.option("pieces") <= tile.tiles


@pytest.mark.parametrize(
    ("images", "features", "outputs", "dtype", "found"),
    [
        (512, 84, 10, "float32", True),  # LeNet's last
        (512, 120, 84, "float32", True),
        (128, 64, 10, "float32", True),  # ResNet-20's
        (128, 64, 10, "float16", True),
        (1024, 256, 10, "float16", True),
        (128, 512, 100, "float64", False),  # more than there is room for
        (128, 2048, 1000, "float32", False),
        (1024, 4096, 128, "float16", False),  # work for tensor cores
    ],
)
def test_all_gradients_of_dense_layers_are_computed_at_once_where_that_is_faster(
    images, features, outputs, dtype, found
):
    shapes = (images, 1, 1, features), (outputs, 1, 1, features)
    assert dense_gradients.is_faster(task("backward_data", *shapes, dtype)) == found


def test_blocks_of_dense_layers_are_those_that_the_kernel_declares():
    source = (folder("kernels") / "dense_backward.cu").read_text()
    outputs = (dense_gradients.most_outputs(dtype) for dtype in ("float64", "float32"))
    assert "OUTPUTS = sizeof(Acc) == 8 ? {} : {};".format(*outputs) in source
    assert f"IMAGES = {dense_gradients.IMAGES};" in source
    assert f"#define COLUMNS {dense_gradients.COLUMNS}\n" in (folder("kernels") / "columns.cuh").read_text()
