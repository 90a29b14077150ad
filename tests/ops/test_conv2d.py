"""Convolution and its gradients against seven loops, over shapes, strides, paddings, dilations, groups and layouts."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from checks.arrays import assert_near, dtypes, held, layouts, many, numbers, seeds, unchanged
from checks.windows import Conv, conv, convs
from hypothesis import example, given
from oracles import conv2d as oracle

from gpucnn import ops
from gpucnn.errors import ArgumentError, ShapeError


def terms(case: Conv) -> tuple[int, int, int]:
    """Return how many products an element of y, dx and dw is a sum of, at most."""
    (K, R, S, depth), groups = case.w_shape, case.arguments["groups"]
    N, P, Q, _ = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    return R * S * depth, R * S * K // groups, N * P * Q


@many
@given(convs(), dtypes, seeds, layouts, layouts)
@example(conv((1, 1, 1, 1), (1, 1, 1, 1)), np.float32, 0, "C order", "C order")
@example(conv((2, 7, 5, 3), (3, 3, 3, 3), stride=2, padding="same"), np.float32, 1, "C order", "C order")
@example(conv((1, 2, 3, 2), (4, 4, 4, 1), 3, padding=4, dilation=2, groups=2), np.float64, 2, "C order", "C order")
@example(conv((2, 5, 7, 3), (6, 2, 3, 1), (2, 1), ((2, 0), (0, 1)), (1, 2), 3), np.float64, 3, "C order", "C order")
@example(conv((1, 7, 7, 1), (1, 4, 1, 1), stride=4, dilation=(2, 1)), np.float64, 4, "C order", "C order")
def test_convolution_and_its_gradients_are_the_loops(case, dtype, seed, layout, other):
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    x, w, dy, b = numbers(seed, case.x_shape, case.w_shape, y_shape, case.w_shape[:1], dtype=dtype)
    n_y, n_dx, n_dw = terms(case)
    x_held, w_held, dy_held = held(x, layout), held(w, other), held(dy, layout)

    y = unchanged(ops.conv2d, x_held, w_held, held(b, "negative strides"), **case.arguments)
    size = oracle.forward(abs(x), abs(w), abs(b), **case.arguments)
    assert_near(y, oracle.forward(x, w, b, **case.arguments), dtype, size, n_y + 1)

    dx = unchanged(ops.conv2d_backward_data, dy_held, w_held, case.x_shape, **case.arguments)
    size = oracle.backward_data(abs(dy), abs(w), case.x_shape, **case.arguments)
    assert_near(dx, oracle.backward_data(dy, w, case.x_shape, **case.arguments), dtype, size, n_dx)

    dw = unchanged(ops.conv2d_backward_weight, x_held, dy_held, case.w_shape, **case.arguments)
    size = oracle.backward_weight(abs(x), abs(dy), case.w_shape, **case.arguments)
    assert_near(dw, oracle.backward_weight(x, dy, case.w_shape, **case.arguments), dtype, size, n_dw)

    db = unchanged(ops.conv2d_backward_bias, dy_held)
    assert_near(db, oracle.backward_bias(dy), dtype, oracle.backward_bias(abs(dy)), n_dw)


def test_many_images_are_cut_into_blocks_without_a_trace(monkeypatch):
    x, w, dy = numbers(0, (7, 5, 5, 2), (3, 3, 3, 2), (7, 5, 5, 3), dtype=np.float64)
    grouped = numbers(1, (2, 3, 3, 1), dtype=np.float64)[0]
    whole = [
        ops.conv2d(x, w, padding=1),
        ops.conv2d_backward_weight(x, dy, w.shape, padding=1),
        ops.conv2d(x, grouped, padding=1, groups=2),
    ]
    module = importlib.import_module("gpucnn.ops.conv2d")  # the function of this name hides it as an attribute
    monkeypatch.setattr(module, "BLOCK_BYTES", 2 * 5 * 5 * 9 * 2 * 8)  # two images a block, one left over
    blocks = [
        ops.conv2d(x, w, padding=1),
        ops.conv2d_backward_weight(x, dy, w.shape, padding=1),
        ops.conv2d(x, grouped, padding=1, groups=2),
    ]
    for one, several in zip(whole, blocks, strict=True):
        np.testing.assert_allclose(several, one, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("groups", [1, 2])
def test_an_empty_batch_gives_empty_images_and_zero_gradients(groups):
    x, w = np.zeros((0, 5, 5, 2), np.float32), np.ones((4, 3, 3, 2 // groups), np.float32)
    y = ops.conv2d(x, w, np.ones(4, np.float32), padding=1, groups=groups)
    assert y.shape == (0, 5, 5, 4)
    assert ops.conv2d_backward_data(y, w, x.shape, padding=1, groups=groups).shape == x.shape
    dw = ops.conv2d_backward_weight(x, y, w.shape, padding=1, groups=groups)
    assert dw.shape == w.shape
    assert not dw.any()
    assert not ops.conv2d_backward_bias(y).any()


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_gives_one_output_for_each_stride_of_input_and_pads_the_odd_one_last(stride):
    x = np.ones((1, 7, 8, 1))
    y = ops.conv2d(x, np.ones((1, 2, 2, 1)), stride=stride, padding="same")
    assert y.shape == (1, -(-7 // stride), -(-8 // stride), 1)
    assert y[0, 0, 0, 0] == 4  # nothing is padded before
    if stride == 1:
        assert y[0, -1, -1, 0] == 1  # one row and one column after


def test_inputs_that_no_window_reaches_have_no_gradient():
    dx = ops.conv2d_backward_data(np.ones((1, 2, 2, 1)), np.ones((1, 1, 1, 1)), (1, 6, 6, 1), stride=4)
    assert dx[0, ::4, ::4, 0].tolist() == [[1, 1], [1, 1]]
    assert dx.sum() == 4


IMAGE, KERNEL = np.zeros((2, 5, 5, 4)), np.zeros((6, 3, 3, 4))


@pytest.mark.parametrize(
    ("x", "w", "arguments", "error", "words"),
    [
        (IMAGE[0], KERNEL, {}, ShapeError, ["x", "(5, 5, 4)", "four dimensions"]),
        (IMAGE, KERNEL[0], {}, ShapeError, ["w", "(3, 3, 4)", "four dimensions"]),
        (IMAGE, KERNEL[..., :3], {}, ShapeError, ["w", "(6, 3, 3, 3)", "4 channels"]),
        (IMAGE, KERNEL, {"groups": 3}, ArgumentError, ["groups", "3", "4", "6"]),
        (IMAGE, KERNEL, {"groups": 0}, ArgumentError, ["groups", "0"]),
        (IMAGE, KERNEL, {"groups": True}, ArgumentError, ["groups", "True"]),
        (IMAGE, KERNEL, {"groups": 2}, ShapeError, ["w", "groups=2", "2"]),
        (IMAGE, KERNEL, {"stride": 0}, ArgumentError, ["stride", "0", "from 1"]),
        (IMAGE, KERNEL, {"stride": 1.5}, ArgumentError, ["stride", "1.5", "whole number"]),
        (IMAGE, KERNEL, {"stride": (1, 2, 3)}, ArgumentError, ["stride", "(1, 2, 3)"]),
        (IMAGE, KERNEL, {"dilation": -1}, ArgumentError, ["dilation", "-1"]),
        (IMAGE, KERNEL, {"padding": -1}, ArgumentError, ["padding", "-1", "same"]),
        (IMAGE, KERNEL, {"padding": "full"}, ArgumentError, ["padding", "full", "same", "valid"]),
        (IMAGE, KERNEL, {"padding": ((1, 1), 1)}, ArgumentError, ["padding"]),
        (IMAGE, KERNEL, {"dilation": 3}, ShapeError, ["3x3", "dilation", "7x7", "5x5", "padding"]),
        (IMAGE.astype(int), KERNEL.astype(int), {}, ArgumentError, ["x", "int64", "float32"]),
        (IMAGE.astype(np.float32), KERNEL, {}, ArgumentError, ["x float32", "w float64"]),
        (IMAGE.tolist(), KERNEL, {}, ArgumentError, ["NumPy", "list"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_value(x, w, arguments, error, words):
    with pytest.raises(error) as caught:
        ops.conv2d(x, w, **arguments)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("b", [np.zeros(5), np.zeros((6, 1)), np.zeros(6, np.float32)])
def test_a_bias_that_does_not_fit_is_refused(b):
    with pytest.raises(ArgumentError, match=r"b .*\(6,\).*float64"):
        ops.conv2d(IMAGE, KERNEL, b)


def test_a_delta_that_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"dy has shape \(2, 3, 3, 5\).*\(2, 3, 3, 6\)"):
        ops.conv2d_backward_data(np.zeros((2, 3, 3, 5)), KERNEL, IMAGE.shape)
    with pytest.raises(ShapeError, match=r"dy has shape \(2, 4, 3, 6\).*\(2, 3, 3, 6\)"):
        ops.conv2d_backward_weight(IMAGE, np.zeros((2, 4, 3, 6)), KERNEL.shape)
    with pytest.raises(ArgumentError, match="dtypes differ"):
        ops.conv2d_backward_weight(IMAGE, np.zeros((2, 3, 3, 6), np.float32), KERNEL.shape)
