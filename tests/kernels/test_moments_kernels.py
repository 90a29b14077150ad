"""Moments that convolutions take of what they write, which batch normalisation's statistics are put together from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.halves import HALVES
from checks.orders import ONE_ORDER
from checks.plans import forced, inputs
from checks.tasks import task
from checks.windows import Conv, conv
from cushim.expected import reference

from gpucnn import ops
from gpucnn.cuda import batch_norm, plans
from gpucnn.cuda.families import band, tiled
from gpucnn.cuda.plans import Plan, Task
from gpucnn.halves import accumulator
from gpucnn.ops.activation import RELU, Function
from gpucnn.ops.batch_norm_activation import Running
from gpucnn.profiling.names import named

CASES = {
    "tiles that are not full": conv((2, 7, 5, 8), (72, 3, 2, 8), padding=1),
    "groups": conv((1, 9, 8, 16), (40, 3, 2, 8), groups=2, padding=1, stride=(1, 2)),
    "next to nothing": conv((2, 1, 1, 3), (5, 1, 1, 3)),
    "1x1": conv((2, 8, 9, 8), (70, 1, 1, 8)),
    "few channels": conv((2, 6, 8, 3), (20, 3, 3, 3), padding=1),
}
MODES = {"float32": "exact", "3xtf32": "fast", "tf32": "tf32", "float16": "exact", "bfloat16": "exact"}
SOME = [
    ("tiles that are not full", "float16", "mma 64x64"),
    ("groups", "3xtf32", "mma 64x64"),
    ("groups", "float32", "tiled 64x64"),
    ("1x1", "float32", "pointwise 64x64"),
    ("few channels", "float32", "band pixels=4 rows=3 columns=4"),
    ("1x1", "float16", "band pixels=8 rows=8 columns=9"),
]
"""What every test run goes through in all orders of the threads; --exhaustive, all there is in one."""


def moments(found: Task, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return y as a plan stores it, far from zero, the moments of its parts, and how many rows these have."""
    given = inputs(found)
    given["b"] = (np.float64(given["b"]) + 30).astype(given["b"].dtype)
    family: Any = plans.families()[plan.family]
    y, size = np.empty(found.y_shape, given["x"].dtype), family.part(found, plan)
    rows, channels = y.size // y.shape[-1], y.shape[-1]
    parts = [np.empty((-(-rows // size), channels), accumulator(y.dtype)) for _ in range(2)]
    family.run(plan, found, {**given, "y": y, "means": parts[0], "squares": parts[1]})
    return y, *parts, size


def cut(y: np.ndarray, plan: Plan, size: int) -> list[np.ndarray]:
    """Return the parts (rows, K) of y: each so many rows that follow each other, or a tile of an image."""
    channels = y.shape[-1]
    if plan.family != "band":
        return np.split(y.reshape(-1, channels), range(size, y.size // channels, size))
    down, across = plan.option("rows"), plan.option("columns")
    images = [np.split(image, range(down, len(image), down)) for image in y]
    bands = [band for image in images for band in image]
    tiles = [tile for band in bands for tile in np.split(band, range(across, band.shape[1], across), axis=1)]
    return [tile.reshape(size, channels) for tile in tiles]


def assert_parts(found: Task, plan: Plan) -> None:
    """Fail unless the moments are those of what is stored: deviations are off by some roundings of a mean."""
    y, means, squares, size = moments(found, plan)
    assert np.float64(y).mean() > 20
    for part, mean, square in zip(cut(np.float64(y), plan, size), means, squares, strict=True):
        deviations = part - part.mean(axis=0)
        worst = abs(deviations).max(axis=0) + 1e-3
        assert_near(mean, part.mean(axis=0), means.dtype, abs(part).max(axis=0), roundings=16)
        off = 16 * len(part) * worst * abs(part).max(axis=0)
        assert_near(square, (deviations**2).sum(axis=0), squares.dtype, off, roundings=1)


def tasks(case: Conv, mode: str) -> Task:
    """Return a forward pass in one of the modes."""
    window = {key: value for key, value in case.arguments.items() if key != "groups"}
    found = task("forward", case.x_shape, case.w_shape, how=MODES.get(mode, "exact"), **window)
    return found._replace(dtype=mode if mode in (*HALVES, "float64") else "float32")


def by_moments(found: Task) -> Iterator[Plan]:
    """Yield the plans that take moments."""
    for plan in plans.candidates(found):
        part: Any = getattr(plans.families()[plan.family], "part", None)
        if part and part(found, plan):
            yield plan


@pytest.mark.usefixtures("on_kernels")
@pytest.mark.parametrize(("name", "mode", "plan"), SOME)
def test_parts_are_those_of_what_is_stored(name, mode, plan):
    found = tasks(CASES[name], mode)
    assert_parts(found, Plan.read(plan))


@pytest.mark.exhaustive
@pytest.mark.usefixtures("on_kernels")
@pytest.mark.parametrize("mode", [*MODES, "float64"])
@pytest.mark.parametrize("name", CASES)
def test_parts_of_all_plans(name, mode):
    found = tasks(CASES[name], mode)
    listed = list(by_moments(found))
    assert {plan.family for plan in listed} >= {"tiled"} | ({"mma"} if mode not in ("float32", "float64") else set())
    for plan in listed:
        assert_parts(found, plan)


@pytest.mark.parametrize(("rows", "columns", "size"), [(7, 6, 42), (7, 3, 21), (4, 6, 0), (7, 4, 0)])
def test_bands_take_moments_where_tiles_are_equal(rows, columns, size):
    found = tasks(CASES["tiles that are not full"], "float32")
    assert found.y_shape[1:3] == (7, 6)
    assert band.part(found, Plan.of("band", pixels=4, rows=rows, columns=columns)) == size


@pytest.mark.usefixtures("on_kernels")
@pytest.mark.parametrize("on_kernels", ONE_ORDER, indirect=True)
def test_many_parts_are_merged():
    """More than a block takes at once, the last of them shorter."""
    (x,) = numbers(53, (2098, 5), dtype=np.float64)
    parts = np.split(x + 7, range(3, len(x), 3))
    means, squares = np.array([p.mean(axis=0) for p in parts]), np.array([p.var(axis=0) * len(p) for p in parts])
    assert len(parts) > 2 * 256
    mean, var, inverse = batch_norm.merged(x, np.ones(5), means, squares, 3, 1e-3, None)
    assert_near(mean, (x + 7).mean(axis=0), np.float64, 8, roundings=64)
    assert_near(var, x.var(axis=0), np.float64, 8, roundings=256)
    assert_near(inverse, 1 / np.sqrt(x.var(axis=0) + 1e-3), np.float64, 8, roundings=256)


@pytest.mark.usefixtures("on_kernels")
@pytest.mark.parametrize("on_kernels", ONE_ORDER, indirect=True)
class TestNorm:
    CASE = CASES["groups"]
    EPS = 1e-3

    def computed(self, dtype: str, function: Function | None = None, added: bool = False) -> tuple[Any, Any, list[str]]:
        """Return what an operation gives, what the reference does in float64, and which kernels were launched."""
        x, w, z = numbers(51, self.CASE.x_shape, self.CASE.w_shape, (1, 9, 5, 40), dtype=dtype)
        b, gamma, beta = numbers(52, *[(40,)] * 3, dtype=accumulator(x.dtype))
        given = (x, w, b.astype(x.dtype) + x.dtype.type(8))
        runs = [Running(np.ones(40, kind), np.full(40, 2, kind), 0.2) for kind in (gamma.dtype, np.float64)]
        operation, rest = ops.conv2d_batch_norm_train, (function, z if added else None)
        with named() as names:
            found = operation(*given, (gamma, beta, self.EPS), *rest, runs[0], **self.CASE.arguments)
        wide = tuple(np.float64(a) for a in (gamma, beta))
        expected = reference(operation, *given, (*wide, self.EPS), *rest, runs[1], **self.CASE.arguments)
        return (*found, runs[0]), (*expected, runs[1]), names

    @pytest.mark.parametrize(("function", "added"), [(None, False), (RELU, True), (Function("gelu", reads="x"), False)])
    def test_is_the_reference(self, function, added):
        with forced("tiled", m=64):
            found, expected, names = self.computed("float32", function, added)
        self.check(found, expected)
        assert names == ["conv2d_forward_64", "batch_norm_merge_statistics", "batch_norm_train"]

    def test_by_a_family_that_takes_no_moments(self, monkeypatch):
        """To a few roundings of what it gives where the convolution takes them."""
        with forced("tiled", m=64):
            together, expected, _ = self.computed("float32")
            monkeypatch.delattr(tiled, "part")
            apart, _, names = self.computed("float32")
        assert names == ["conv2d_forward_64", "batch_norm_part_statistics", *NORMED]
        self.check(apart, expected)
        np.testing.assert_array_equal(together[3].norm.x, apart[3].norm.x)
        for one, other in zip(together[1:3], apart[1:3], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)

    def test_what_no_kernel_computes_at_once_is_computed_one_by_one(self):
        found, expected, names = self.computed("float64", Function("gelu", reads="x"), added=True)
        assert "batch_norm_part_statistics" in names
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-9, atol=1e-9)

    @staticmethod
    def check(found: Any, expected: Any) -> None:
        """A mean is about 8, and what is normalised as wrong as it is in units of 1 / sqrt(var), which is about 7."""
        for one, other in zip((*found[1:3], *found[4][:2]), (*expected[1:3], *expected[4][:2]), strict=True):
            assert_near(one, other, np.float32, 128 + abs(other), roundings=64)
        np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-4)
        assert found[3].z is expected[3].z


NORMED = ["batch_norm_merge_statistics", "batch_norm_train"]
