"""Convolutions on tensor cores against the reference in float64, with bounds for each way of multiplying.

What is bounded is in units of eps = 2^-23 of the sum of the terms' absolute values. Tensor cores multiply exactly. They
add products to a sum by some at a time: each is cut off below the last place of the largest, and so is the result. That
makes one eps for each product that is not 0 and two for each addition of some, at most 3 a product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.convolutions import CASES, TILED, off_by_one
from checks.halves import HALVES
from checks.orders import ONE_ORDER
from checks.plans import forced
from checks.windows import Conv, conv
from cushim.expected import reference, sizes

from gpucnn import numerics, ops
from gpucnn.cuda import plans, sums
from gpucnn.cuda.families import mma
from gpucnn.cuda.geometry import Whole
from gpucnn.cuda.plans import Plan, Task
from gpucnn.ops.activation import Function

EPS = 2.0**-23

NEW = {
    "more than a tile, than all stages": conv((1, 9, 8, 24), (68, 3, 2, 24), padding=1),
    "eights in groups, stride 2": conv((1, 8, 9, 16), (32, 3, 2, 8), groups=2, stride=2, padding=1),
    "fours that are no eights": conv((2, 5, 4, 12), (20, 2, 3, 12), padding=1),
    "dense": conv((33, 1, 1, 40), (24, 1, 1, 40)),
}
EVERY = CASES | TILED | NEW
FEW = [
    "fours that are no eights",
    "dense",
    "dilation and stride, one factor",
    "four paddings",
    "stride beyond the kernel",
]
PASSES = ("forward", "backward_data", "backward_weight")
WAYS = ("float16", "bfloat16", "tf32", "3xtf32")
TWO_WAYS = pytest.mark.parametrize("way", ["float16", "3xtf32"], indirect=True)


TANH = Function("tanh", reads="y")

EVERY_TILE = [(way, tile) for way in WAYS for tile in mma.TILES[3 if way == "3xtf32" else 1]]


@pytest.fixture
def tile(request: Any) -> tuple[int, int]:
    """The sides of the tiles that convolutions are computed by."""
    return getattr(request, "param", (64, 64))


@pytest.fixture(params=WAYS)
def way(request: Any, tile: Any, on_kernels: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """While in use, convolutions are multiplied in this way, long sums in several pieces."""
    way, (m, n) = request.param, tile
    monkeypatch.setattr(sums, "TERMS", 40)
    with numerics.using("fast" if way in ("float16", "3xtf32") else "tf32"), forced("mma", m=m, n=n):
        yield way


def tf32(x: Any) -> Any:
    """Return float32 rounded to 11 bits, ties away from 0."""
    if not isinstance(x, np.ndarray):
        return x
    fraction, exponent = np.frexp(np.float64(x))  # 0.5 .. 1
    return np.ldexp(np.trunc(fraction * 2**11 + np.copysign(0.5, fraction)) / 2**11, exponent)


def passes(case: Conv, x: Any, w: Any, dy: Any) -> dict[str, tuple[Any, tuple[Any, ...], int]]:
    """Return of each pass the operation, its arrays, and how many products an element is the sum of."""
    return {
        "forward": (ops.conv2d, (x, w), np.prod(case.w_shape[1:])),
        "backward_data": (ops.conv2d_backward_data, (dy, w, case.x_shape), np.prod(case.w_shape[:3])),
        "backward_weight": (ops.conv2d_backward_weight, (x, dy, case.w_shape), np.prod(dy.shape[:3])),
    }


def check(way: str, which: str, case: Conv, placed: Callable[[np.ndarray], np.ndarray] = np.asarray) -> None:
    """Compute a pass and hold it against the reference; forward with a bias."""
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    shapes = (case.x_shape, case.w_shape, case.w_shape[:1], y_shape)
    half = HALVES.get(way)
    x, w, b, dy = map(placed, half.numbers(11, *shapes) if half else numbers(11, *shapes, dtype=np.float32))
    operation, given, terms = passes(case, x, w, dy)[which]
    bias = {"b": b} if which == "forward" else {}
    actual = operation(*given, **bias, **case.arguments)
    wide = {name: np.float64(value) for name, value in bias.items()}
    expected = reference(operation, *given, **wide, **case.arguments)
    size = sizes(operation, *given, **{name: abs(value) for name, value in wide.items()}, **case.arguments)
    if half:
        half.assert_near(actual, expected, size, 3 * terms + 3, stored=which != "backward_weight")
    elif way == "tf32":
        # Both operands are rounded, by 2^-11 of them at most. With operands rounded before, the sums alone are wrong.
        assert_near(actual, expected, np.float32, size, roundings=2.001 * 2**-11 / EPS + 3 * terms + 3)
        rounded = reference(operation, *map(tf32, given), **wide, **case.arguments)
        assert_near(actual, rounded, np.float32, size, roundings=3 * terms + 3)
    else:
        # x = large + small + rest, small at most 2^-11 of x and rest 2^-22: left out of a product is small small and
        # twice a rest. A sum stays on tensor cores for 32 terms, of three products each.
        assert_near(actual, expected, np.float32, size, 3 * 2.0**-22 / EPS + 9 * min(terms, 32) + terms / 32 + 4)


@pytest.mark.parametrize("which", PASSES)
def test_passes(way, which):
    """More rows, columns and terms than a tile, and tiles whose sums stop within a panel."""
    for name in ("more than a tile, than all stages", "eights in groups, stride 2"):
        check(way, which, NEW[name])


@pytest.mark.parametrize("on_kernels", ONE_ORDER, indirect=True)
@pytest.mark.parametrize("which", PASSES)
class TestShapes:
    @TWO_WAYS
    def test_some(self, way, which):
        for name in FEW:
            check(way, which, EVERY[name])

    @pytest.mark.exhaustive
    @pytest.mark.parametrize(("way", "tile"), EVERY_TILE, indirect=True)
    def test_all_by_every_tile(self, way, which, tile):
        for case in EVERY.values():
            check(way, which, case)

    @TWO_WAYS
    def test_arrays_that_do_not_start_on_16_bytes(self, way, which):
        """Such as a part of a larger array: elements come one by one."""
        check(way, which, NEW["eights in groups, stride 2"], off_by_one)

    @TWO_WAYS
    def test_outputs_that_do_not_start_on_16_bytes(self, way, which, monkeypatch):
        """Sums are written one by one: the same ones."""
        aligned = np.empty
        monkeypatch.setattr(np, "empty", lambda shape, dtype=float: off_by_one(aligned(shape, dtype)))
        check(way, which, NEW["dense"])


@pytest.mark.usefixtures("on_kernels")
class TestBlocksForSeveralTiles:
    """Their tiles have the bits of tiles with a block each, with all that is done at their ends."""

    @pytest.mark.parametrize("on_kernels", ONE_ORDER, indirect=True)
    def test_forward(self, monkeypatch):
        check_persistent(monkeypatch, "forward", "256x128", 40)

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("terms", [8, 200])
    @pytest.mark.parametrize("tile", ["256x64", "256x128"])
    @pytest.mark.parametrize("which", ["forward", "backward_data"])
    def test_of_one_step_and_of_more_than_there_are_stages(self, monkeypatch, which, tile, terms):
        check_persistent(monkeypatch, which, tile, terms)


def check_persistent(monkeypatch: pytest.MonkeyPatch, which: str, tile: str, terms: int) -> None:
    """Compute three tiles of rows, of one block alone and of two; terms: of a sum."""
    monkeypatch.setattr(mma, "multiprocessors", lambda x: 2)
    channels, outputs = (terms, 68) if which == "forward" else (68, terms)
    shapes = (1, 31, 21, channels), (outputs, 1, 1, channels), (outputs,), (1, 31, 21, outputs)
    x, w, b, dy = HALVES["float16"].numbers(13, *shapes)
    found = []
    for plan in (f"mma {tile}", f"mma {tile} persistent=1"):
        with plans.using(lambda task, plan=plan: Plan.read(plan)):
            if which == "backward_data":
                found.append([ops.conv2d_backward_data(dy, w, x.shape, x)])
            else:
                gamma, square = np.float32(b), np.float32(b) ** 2
                train = ops.conv2d_batch_norm_train(x, w, b, (gamma, gamma, 1e-3))
                evaluated = ops.conv2d_batch_norm_eval(x, w, b, (gamma, gamma, gamma, square, 1e-3), TANH, dy)
                found.append([*train[:3], evaluated])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("on_kernels", ONE_ORDER, indirect=True)
@pytest.mark.usefixtures("on_kernels")
def test_a_long_sum_does_not_drift():
    """Products of one sign, whose sum tensor cores cut off each time they add to it: emptied every 32, it stays near.

    It is cut off by half of 2^-23 of itself on average, three times and more for 4 terms: for 1024 of them, 4e-5.
    """
    x, w = (1 + abs(a) for a in numbers(12, (5, 1024), (3, 1024), dtype=np.float32))
    with forced("mma", m=64, n=64):
        np.testing.assert_allclose(ops.dense(x, w), reference(ops.dense, x, w), rtol=1e-6)


class TestPlans:
    @pytest.mark.parametrize(
        ("architecture", "dtype", "how", "found"),
        [
            (75, "float16", "fast", False),
            (0, "float16", "fast", False),
            (80, "float16", "exact", True),
            (120, "bfloat16", "fast", True),
            (90, "float32", "fast", True),
            (90, "float32", "tf32", True),
            (90, "float32", "exact", False),
            (90, "float64", "fast", False),
        ],
    )
    def test_what_is_computed_on_tensor_cores(self, architecture, dtype, how, found):
        assert bool(mma.plans(task("forward", 2, 8, 16, 16, dtype, how, architecture))) is found

    def test_small_tiles_for_little_and_large_ones_for_much(self):
        """Little: fewer tiles than multiprocessors; and few outputs want narrow ones."""
        assert str(best(2, 16, 64, 64, family="mma")) == "mma 64x64"
        assert str(best(128, 16, 64, 32, family="mma")) == "mma 128x32"
        assert str(best(512, 32, 256, 256)) == "mma 256x128"

    def test_channels_that_have_to_be_read_one_by_one_are_left_to_others(self):
        assert best(128, 32, 3, 64).family != "mma"
        assert best(128, 32, 24, 64).family == "mma"

    @pytest.mark.parametrize(("which", "dtype", "persists"), [
        ("forward", "bfloat16", True), ("backward_data", "float16", True), ("backward_weight", "float16", False),
        ("forward", "float32", False),
    ])  # fmt: skip
    def test_blocks_that_are_alone_on_a_multiprocessor_may_persist(self, which, dtype, persists):
        """And do by default nowhere: the same tiles with a block each come before them until something is measured."""
        given = task(which, 128, 32, 64, 64, dtype, "fast")
        found = [str(plan) for plan in plans.candidates(given)]
        assert [text for text in found if "persistent" in text and "256x" not in text] == []
        for text in ("mma 256x128", "mma 256x64"):
            assert (f"{text} persistent=1" in found) is persists
            if persists:
                assert found.index(text) < found.index(f"{text} persistent=1")
        assert not any("persistent" in str(plan) for plan in plans.candidates(given._replace(x_shape=(2, 32, 32, 64))))

    @pytest.mark.parametrize("way", ["fast", "tf32"])
    def test_a_block_has_the_shared_memory_of_its_stages(self, way):
        """Up to four of both panels, and at least two, within what every architecture has."""
        given = task("forward", 2, 8, 16, 16, "float32", way)
        for m, n in mma.TILES[mma.products_of(given)]:
            stages, rest = divmod(mma.shared(m, n, given), (m + n) * 32 * 4)
            assert rest == 0
            assert 2 <= stages <= 4
            assert mma.shared(m, n, given) <= 99 * 1024


def task(which: Any, images: int, size: int, channels: int, outputs: int, dtype: str, how: Any, on: int = 90) -> Task:
    """Return a pass of a 3x3 convolution with padding."""
    window = Whole((3, 3), pads=((1, 1), (1, 1)), output=(size, size))
    return Task(which, (images, size, size, channels), (outputs, 3, 3, channels), window, 1, dtype, how, on)


def best(*sizes: int, family: str | None = None) -> Plan:
    """Return the plan by which such a convolution of bfloat16 is computed by default, or the best of a family."""
    found = plans.candidates(task("forward", *sizes, "bfloat16", "fast"))
    return next(plan for plan in found if family in (None, plan.family))
