"""Whole steps with layers computed at once: as many launches as there should be, and the numbers of layers apart."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from checks.arrays import numbers
from checks.examples import STEP
from checks.plans import forced
from cushim import cupy_stand_in

from gpucnn import config
from gpucnn.backend import Device
from gpucnn.cuda import dense_gradients
from gpucnn.layers.activation import Gelu, Relu, Tanh
from gpucnn.layers.base import Layer
from gpucnn.layers.batch_norm import BatchNorm
from gpucnn.layers.concat import Concat
from gpucnn.layers.conv2d import Conv2d
from gpucnn.layers.dense import Dense
from gpucnn.layers.flatten import Flatten
from gpucnn.layers.fused import apart
from gpucnn.layers.pool2d import GlobalAvgPool2d, MaxPool2d
from gpucnn.layers.residual import Residual
from gpucnn.model import Model
from gpucnn.profiling.names import named
from gpucnn.resources import folder
from gpucnn.training.parts import build_model

SHAPE = (6, 5, 4)


@pytest.fixture
def cuda(modules: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """CuPy's stand-in, with the kernels' CPU build behind it."""
    return cupy_stand_in.install(monkeypatch, lambda kernel, dtype: modules[dtype].get_function(kernel.name))


def block() -> list[Layer]:
    """A residual block, as in ResNet-20."""
    branch = [
        Conv2d(4, 3, padding=1, bias=False),
        BatchNorm(),
        Relu(),
        Conv2d(4, 3, padding=1, bias=False),
        BatchNorm(),
    ]
    return [Residual(branch), Relu()]


NETWORKS = {
    "a residual block": block,
    "a block with a shortcut": lambda: [
        Residual(
            [Conv2d(8, 3, stride=2, padding=1), BatchNorm(), Gelu(), Conv2d(8, 1), BatchNorm()],
            [Conv2d(8, 1, stride=2, bias=False), BatchNorm()],
        ),
        Tanh(),
    ],
    "no norm": lambda: [Residual([Conv2d(4, 3, padding=1), Tanh()]), Relu(), Conv2d(3), Relu(), MaxPool2d(2)],
    "branches": lambda: [Concat([[Conv2d(3, 3, padding=1), Relu()], [], [Conv2d(2, 1), Tanh()], [BatchNorm()]])],
    "blocks that do not begin with a convolution": lambda: [
        Residual([BatchNorm(), Relu(), Conv2d(4, 1)]),
        Residual([BatchNorm()]),
        Residual([Relu()], [Conv2d(4, 1)]),
    ],
    "maxima of a norm": lambda: [
        Conv2d(4, 3, padding=1),
        BatchNorm(),
        Relu(),
        MaxPool2d(3, 2, 1),
        BatchNorm(),
        MaxPool2d(),
    ],
    "dense layers": lambda: [Conv2d(3), Tanh(), Flatten(), Dense(7), Relu(), Dense(5)],
    "an activation behind pooling": lambda: [Conv2d(8, 3), BatchNorm(), MaxPool2d(2), Gelu(), GlobalAvgPool2d()],
    "a gelu in a block's end": lambda: [Residual([Conv2d(4, 1), BatchNorm()]), Gelu()],
}


def step(layers: list[Layer], x: np.ndarray, one_by_one: bool, dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """Return all that a step over x gives, and scores when evaluating."""
    device = Device.named("cuda")
    model = Model(layers, SHAPE, device=device, dtype=dtype)
    with apart() if one_by_one else nullcontext():
        y, saved = model.layers.forward(device.asarray(x, dtype), train=STEP)
        dy = device.asarray(numbers(7, y.shape, dtype=dtype)[0])
        found = {"y": y, "dx": model.layers.backward(dy, saved)}
        found |= {f"d {name}": p.grad for name, p in model.params.items()} | model.state
        found["still"] = model.forward(device.asarray(x, dtype))[0]
    return {name: array.get() for name, array in found.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_together_they_give_what_they_give_apart(cuda, name):
    (x,) = numbers(8, (3, *SHAPE), dtype=np.float64)
    together, one_by_one = (step(NETWORKS[name](), x, each) for each in (False, True))
    assert together.keys() == one_by_one.keys()
    for key, array in together.items():
        np.testing.assert_allclose(array, one_by_one[key], rtol=1e-9, atol=1e-10, err_msg=key)


def test_gradients_are_those_of_finite_differences(cuda):
    """Of a block with all that is computed at once; along one direction, in float64."""
    x, direction = numbers(9, (3, *SHAPE), (3, *SHAPE), dtype=np.float64)
    found = step(NETWORKS["a block with a shortcut"](), x, False)
    dy, h = numbers(7, found["y"].shape, dtype=np.float64)[0], 1e-6
    up, down = (step(NETWORKS["a block with a shortcut"](), x + sign * h * direction, False)["y"] for sign in (1, -1))
    slope = float((dy * (up - down)).sum() / (2 * h))
    assert abs(slope) > 1e-3
    assert float((found["dx"] * direction).sum()) == pytest.approx(slope, rel=1e-6)


def test_what_maxima_are_taken_of_is_never_written(cuda):
    (x,) = numbers(8, (3, *SHAPE), dtype=np.float32)
    with named() as names:
        step(NETWORKS["maxima of a norm"](), x, False, np.float32)
    pooled = [name for name in names if "pool2d" in name]
    assert pooled[:2] == ["batch_norm_max_pool2d_forward"] * 2
    assert pooled[2:6] == ["batch_norm_max_pool2d_part_sums", "batch_norm_max_pool2d_backward"] * 2
    assert not {"batch_norm_train", "batch_norm_backward"} & set(names)


def test_a_dense_layers_gradients_are_one_launch(cuda):
    """And what is behind the activation; the first layer's, whose input has none, are not."""
    (x,) = numbers(8, (3, *SHAPE), dtype=np.float32)
    device = Device.named("cuda")
    model = Model(NETWORKS["dense layers"](), SHAPE, device=device)
    y, saved = model.layers.forward(device.asarray(x), train=STEP)
    with named() as names:
        model.layers.backward_params(y, saved)
    assert names[:2] == ["dense_backward"] * 2
    assert "dense_backward" not in names[2:]


STATISTICS = ["batch_norm_part_statistics", "batch_norm_merge_statistics", "batch_norm_train"]
SUMS = ["batch_norm_part_sums", "batch_norm_add_sums", "batch_norm_backward"]
PRODUCTS = ["conv2d_backward_weight", "add_parts", "conv2d_backward_data"]


def test_a_block_launches_these_kernels_and_no_others(cuda):
    """Both sums of the two ways are among them. And apart: these, each relu forward and backward, and the rest."""
    (x,) = numbers(8, (3, *SHAPE), dtype=np.float64)
    device = Device.named("cuda")
    model = Model(block(), SHAPE, device=device, dtype=np.float64)
    launches = []
    for together in (True, False):
        with named() as names, nullcontext() if together else apart():
            y, saved = model.layers.forward(device.asarray(x), train=STEP)
            model.layers.backward(y, saved)
        launches.append(names)
    assert launches[0] == ["conv2d_forward", *STATISTICS] * 2 + [*SUMS, *PRODUCTS] * 2
    apart_too = ["activation_forward", "activation_backward", "add"] * 2
    assert sorted(launches[1]) == sorted(launches[0] + apart_too)


@pytest.mark.parametrize(
    ("name", "size"), [("cifar10", 32), pytest.param("resnet50", 64, marks=pytest.mark.exhaustive)]
)
def test_a_residual_networks_gradients_are_added_by_its_convolutions(monkeypatch, name, size):
    """Launches are counted; nothing is computed. Apart, each block's two ways and their gradients are summed by two."""
    cupy_stand_in.install(monkeypatch, lambda kernel, dtype: lambda *_, **__: None)
    monkeypatch.setattr(np, "empty", np.zeros)
    device = Device.named("cuda")
    model = build_model(config.load(folder("configs") / f"{name}.yaml"), (size, size, 3), device)
    blocks = sum(isinstance(layer, Residual) for layer in model.layers.walk())
    found = []
    for together in (True, False):
        with named() as names, nullcontext() if together else apart():
            y, saved = model.forward(device.xp.empty((2, size, size, 3), np.float32), train=STEP)
            model.backward(y, saved)
        found.append(names.count("add"))
    assert found == [0, 2 * blocks]


def test_a_convolution_takes_the_statistics_of_the_norm_after_it(cuda):
    """Where its kernels can: one launch less for each norm, and the numbers of layers apart."""
    (x,) = numbers(8, (3, *SHAPE), dtype=np.float64)
    with forced("tiled"):
        with named() as names:
            together = step(block(), x, False)
        one_by_one = step(block(), x, True)
    assert "batch_norm_part_statistics" not in names
    assert names.count("batch_norm_merge_statistics") == 2
    for key, array in together.items():
        np.testing.assert_allclose(array, one_by_one[key], rtol=1e-9, atol=1e-10, err_msg=key)


def test_gradients_of_all_layers_are_summed_by_one_launch(cuda, monkeypatch):
    """To the same bits; where gradients are added to, at once."""
    monkeypatch.setattr(dense_gradients, "IMAGES", 2)  # of a part
    (x,) = numbers(8, (3, *SHAPE), dtype=np.float32)
    device, found = Device.named("cuda"), []
    for times, whole in ((1, True), (1, False), (2, True)):
        model = Model(NETWORKS["dense layers"](), SHAPE, device=device)
        y, saved = model.forward(device.asarray(x), train=STEP)
        with named() as names:
            for _ in range(times):
                (model.backward if whole else model.layers.backward_params)(y, saved)
        found.append(([p.grad.get() for p in model.params.values()], names.count("add_parts")))
        assert names.count("add_all_parts") == whole
    (together, alone), (one_by_one, apart_too), (twice, once) = found
    assert (alone, apart_too, once) == (0, 6, 6)
    for one, other, double in zip(together, one_by_one, twice, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(double, 2 * one)


def test_sums_of_a_convolution_whose_gradients_are_computed_at_once_wait_too(cuda):
    device = Device.named("cuda")
    model = Model([Conv2d(4, 3), Conv2d(4, 3)], SHAPE, device=device)
    y, saved = model.forward(device.asarray(numbers(8, (3, *SHAPE), dtype=np.float32)[0]), train=STEP)
    with forced("band_backward"), named() as names:
        model.backward(y, saved)
    assert names.count("band_backward") == names.count("add_all_parts") == 1
    assert "add_parts" not in names


def test_a_block_is_evaluated_by_its_convolutions(cuda):
    """Norms, the sum and relus are the ends of products: besides, two launches make factors of the norms."""
    device = Device.named("cuda")
    model = Model(block(), SHAPE, device=device, dtype=np.float64)
    with named() as names:
        model.forward(device.asarray(numbers(8, (3, *SHAPE), dtype=np.float64)[0]))
    assert names == ["batch_norm_fold", "conv2d_forward"] * 2
