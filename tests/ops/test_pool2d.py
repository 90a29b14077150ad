"""Pooling and its gradients against loops over windows, over sizes, strides, paddings and layouts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from checks.arrays import assert_near, dtypes, held, layouts, many, numbers, seeds, unchanged
from checks.windows import Pool, pools
from hypothesis import example, given
from hypothesis import strategies as st
from oracles import pool2d as oracle
from oracles.window import both

from gpucnn import ops
from gpucnn.errors import ArgumentError, ShapeError

OVERLAPPING = Pool((2, 7, 5, 3), 3, {"stride": 2, "padding": 1})
UNEVEN = Pool((1, 4, 5, 2), (2, 3), {"stride": (1, 2), "padding": ((1, 0), (0, 2))})
GAPS = Pool((1, 7, 7, 1), 1, {"stride": 3, "padding": 0})


def delta(case: Pool, seed: int, dtype: type) -> np.ndarray:
    """Return a dy for a pooling."""
    y_shape, _ = oracle.windows(case.x_shape, case.kernel_size, **case.arguments)
    return numbers(seed + 1, y_shape, dtype=dtype)[0]


@many
@given(pools(), dtypes, seeds, layouts, st.booleans())
@example(OVERLAPPING, np.float32, 0, "C order", True)
@example(UNEVEN, np.float64, 1, "negative strides", False)
@example(GAPS, np.float64, 2, "C order", False)
def test_max_pooling_is_the_loops_ties_and_nan_included(case, dtype, seed, layout, ties):
    (x,) = numbers(seed, case.x_shape, dtype=dtype)
    if ties:
        x = np.round(x)
        x.flat[seed % x.size] = np.nan
    y, index = unchanged(ops.max_pool2d, held(x, layout), case.kernel_size, **case.arguments)
    expected, at = oracle.max_forward(x, case.kernel_size, **case.arguments)
    np.testing.assert_array_equal(y, expected)  # no arithmetic: the same numbers
    np.testing.assert_array_equal(index, at)
    assert y.dtype == dtype
    assert index.dtype == np.uint8

    dy = delta(case, seed, dtype)
    arguments = (held(dy, layout), index, case.x_shape, case.kernel_size)
    dx = unchanged(ops.max_pool2d_backward, *arguments, **case.arguments)
    size = oracle.max_backward(abs(dy), at, case.x_shape, case.kernel_size, **case.arguments)
    expected = oracle.max_backward(dy, at, case.x_shape, case.kernel_size, **case.arguments)
    assert_near(dx, expected, dtype, size, most_windows(case))


@many
@given(pools(), dtypes, seeds)
def test_relu_of_maxima_and_its_gradient_are_those_of_both_one_after_the_other(case, dtype, seed):
    (x,) = numbers(seed, case.x_shape, dtype=dtype)
    x = np.round(x)
    x.flat[seed % x.size] = np.nan
    y, index = ops.max_pool2d(x, case.kernel_size, **case.arguments, relu=True)
    maxima, at = oracle.max_forward(x, case.kernel_size, **case.arguments)
    np.testing.assert_array_equal(y, np.where(maxima <= 0, 0, maxima))
    dy = delta(case, seed, dtype)
    dx = ops.max_pool2d_backward(dy, index, case.x_shape, case.kernel_size, **case.arguments)
    through = dy * (maxima > 0)
    expected, size = (
        oracle.max_backward(delta, at, case.x_shape, case.kernel_size, **case.arguments)
        for delta in (through, abs(through))
    )
    assert_near(dx, expected, dtype, size, most_windows(case))


def test_padding_is_not_the_maximum_even_of_a_window_of_minus_infinities():
    x = np.full((1, 2, 2, 1), -np.inf)
    y, index = ops.max_pool2d(x, 3, stride=2, padding=1)
    assert y.ravel().tolist() == [-np.inf]
    assert index.ravel().tolist() == [4]  # the image's first element, in the middle of the window


@many
@given(pools(), dtypes, seeds, layouts, st.sampled_from(["avg", "avg without padding", "sum"]))
@example(OVERLAPPING, np.float32, 0, "C order", "avg")
@example(OVERLAPPING, np.float32, 0, "C order", "avg without padding")
@example(UNEVEN, np.float64, 1, "negative strides", "avg without padding")
@example(GAPS, np.float64, 2, "C order", "sum")
def test_average_and_sum_pooling_are_the_loops(case, dtype, seed, layout, kind):
    name = kind.split()[0]
    arguments = dict(case.arguments, **({"count_include_pad": kind == "avg"} if name == "avg" else {}))
    (x,), dy = numbers(seed, case.x_shape, dtype=dtype), delta(case, seed, dtype)
    forward, backward = getattr(oracle, f"{name}_forward"), getattr(oracle, f"{name}_backward")

    y = unchanged(getattr(ops, f"{name}_pool2d"), held(x, layout), case.kernel_size, **arguments)
    size = forward(abs(x), case.kernel_size, **arguments)
    # A sum of R*S terms; then the reciprocal of the count, and the product with it.
    assert_near(y, forward(x, case.kernel_size, **arguments), dtype, size, math.prod(both(case.kernel_size)) + 2)

    call = getattr(ops, f"{name}_pool2d_backward")
    dx = unchanged(call, held(dy, layout), case.x_shape, case.kernel_size, **arguments)
    size = backward(abs(dy), case.x_shape, case.kernel_size, **arguments)
    expected = backward(dy, case.x_shape, case.kernel_size, **arguments)
    assert_near(dx, expected, dtype, size, most_windows(case) + 2)


def most_windows(case: Pool) -> int:
    """Return in how many windows an input can lie: so many terms its gradient has."""
    stride = case.arguments["stride"] or case.kernel_size
    return math.prod(-(-r // s) for r, s in zip(both(case.kernel_size), both(stride), strict=True))


@given(st.tuples(*[st.integers(1, 7)] * 4), dtypes, seeds, layouts)
def test_global_average_pooling_is_the_loops(shape, dtype, seed, layout):
    x, dy = numbers(seed, shape, (shape[0], shape[3]), dtype=dtype)
    y = unchanged(ops.global_avg_pool2d, held(x, layout))
    size = oracle.global_avg_forward(abs(x))
    assert_near(y, oracle.global_avg_forward(x), dtype, size, shape[1] * shape[2] + 2)
    dx = unchanged(ops.global_avg_pool2d_backward, held(dy, layout), shape)
    assert_near(dx, oracle.global_avg_backward(dy, shape), dtype, oracle.global_avg_backward(abs(dy), shape), 2)


@pytest.mark.parametrize(("kernel_size", "dtype"), [((15, 17), np.uint8), (16, np.int32), ((1, 300), np.int32)])
def test_the_index_counts_windows_of_any_size(kernel_size, dtype):
    x = np.zeros((1, 20, 301, 1), np.float32)
    height, width = both(kernel_size)
    x[0, height - 1, width - 1, 0] = 1  # the last position of the first window
    y, index = ops.max_pool2d(x, kernel_size, stride=100)
    assert (y[0, 0, 0, 0], index[0, 0, 0, 0], index.dtype) == (1, height * width - 1, dtype)
    dx = ops.max_pool2d_backward(y, index, x.shape, kernel_size, stride=100)
    np.testing.assert_array_equal(dx, x)


def test_padding_never_is_the_maximum():
    x = np.full((1, 2, 2, 1), -5.0)
    y, index = ops.max_pool2d(x, 2, stride=1, padding=1)
    assert (y == -5).all()
    assert ops.max_pool2d_backward(np.ones_like(y), index, x.shape, 2, stride=1, padding=1).sum() == y.size


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "sum_pool2d"])
def test_an_empty_batch_gives_empty_images(name):
    x = np.zeros((0, 4, 4, 3), np.float32)
    y = getattr(ops, name)(x, 2)
    y, rest = (y[0], [y[1]]) if name == "max_pool2d" else (y, [])
    assert y.shape == (0, 2, 2, 3)
    assert getattr(ops, f"{name}_backward")(y, *rest, x.shape, 2).shape == x.shape


def test_an_empty_batch_has_empty_global_averages():
    y = ops.global_avg_pool2d(np.zeros((0, 4, 4, 3), np.float32))
    assert y.shape == (0, 3)
    assert ops.global_avg_pool2d_backward(y, (0, 4, 4, 3)).shape == (0, 4, 4, 3)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "sum_pool2d"])
@pytest.mark.parametrize(
    ("x", "kernel_size", "arguments", "error", "words"),
    [
        (np.zeros((4, 4, 1)), 2, {}, ShapeError, ["x", "(4, 4, 1)"]),
        (np.zeros((1, 4, 4, 1)), 5, {}, ShapeError, ["5x5", "4x4"]),
        (np.zeros((1, 4, 4, 1)), 0, {}, ArgumentError, ["kernel_size", "0", "from 1"]),
        (np.zeros((1, 4, 4, 1)), "2", {}, ArgumentError, ["kernel_size", "'2'"]),
        (np.zeros((1, 4, 4, 1)), 2, {"stride": 0}, ArgumentError, ["stride", "0"]),
        (np.zeros((1, 4, 4, 1)), 2, {"padding": 2}, ArgumentError, ["padding", "2", "kernel_size"]),
        (np.zeros((1, 4, 4, 1)), (3, 1), {"padding": 1}, ArgumentError, ["padding", "1", "kernel_size", "(3, 1)"]),
        (np.zeros((1, 4, 4, 1), int), 2, {}, ArgumentError, ["x", "int64", "float32"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_value(name, x, kernel_size, arguments, error, words):
    with pytest.raises(error) as caught:
        getattr(ops, name)(x, kernel_size, **arguments)
    for word in words:
        assert word in str(caught.value)


def test_deltas_that_do_not_fit_are_refused():
    dy = np.zeros((1, 3, 2, 1))
    with pytest.raises(ShapeError, match=r"dy has shape \(1, 3, 2, 1\).*\(1, 2, 2, 1\)"):
        ops.sum_pool2d_backward(dy, (1, 4, 4, 1), 2)
    with pytest.raises(ShapeError, match=r"dy has shape \(1, 3, 2, 1\).*\(1, 2, 2, 1\)"):
        ops.avg_pool2d_backward(dy, (1, 4, 4, 1), 2, padding=((0, 1), (0, 1)), stride=2, count_include_pad=False)
    with pytest.raises(ShapeError, match=r"index has shape \(1, 2, 2, 2\)"):
        ops.max_pool2d_backward(np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 2), np.uint8), (1, 4, 4, 1), 2)
    with pytest.raises(ShapeError, match=r"dy has shape \(1, 2\).*\(1, 3\)"):
        ops.global_avg_pool2d_backward(np.zeros((1, 2)), (1, 4, 4, 3))
