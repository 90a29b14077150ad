"""The dense layer's products against three loops."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, dtypes, held, layouts, numbers, seeds, unchanged
from hypothesis import given
from hypothesis import strategies as st
from oracles import dense as oracle

from gpucnn import ops
from gpucnn.errors import ArgumentError, ShapeError


@given(st.tuples(*[st.integers(1, 11)] * 3), dtypes, seeds, layouts, layouts)
def test_dense_and_its_gradients_are_the_loops(sizes, dtype, seed, layout, other):
    n, c, k = sizes
    x, w, b, dy = numbers(seed, (n, c), (k, c), (k,), (n, k), dtype=dtype)
    x_held, w_held, dy_held = held(x, layout), held(w, other), held(dy, layout)
    y = unchanged(ops.dense, x_held, w_held, held(b, "negative strides"))
    assert_near(y, oracle.forward(x, w, b), dtype, oracle.forward(abs(x), abs(w), abs(b)), c + 1)
    dx = unchanged(ops.dense_backward_data, dy_held, w_held)
    assert_near(dx, oracle.backward_data(dy, w), dtype, oracle.backward_data(abs(dy), abs(w)), k)
    dw = unchanged(ops.dense_backward_weight, x_held, dy_held)
    assert_near(dw, oracle.backward_weight(x, dy), dtype, oracle.backward_weight(abs(x), abs(dy)), n)
    db = unchanged(ops.dense_backward_bias, dy_held)
    assert_near(db, oracle.backward_bias(dy), dtype, oracle.backward_bias(abs(dy)), n)


def test_without_a_bias_nothing_is_added():
    assert ops.dense(np.array([[2.0, 3.0]]), np.array([[5.0, 7.0]])).tolist() == [[31.0]]


def test_an_empty_batch_gives_no_rows_and_zero_gradients():
    x, w = np.zeros((0, 3), np.float32), np.ones((2, 3), np.float32)
    y = ops.dense(x, w, np.ones(2, np.float32))
    assert y.shape == (0, 2)
    assert ops.dense_backward_data(y, w).shape == (0, 3)
    assert ops.dense_backward_weight(x, y).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert ops.dense_backward_bias(y).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("x", "w", "b", "error", "words"),
    [
        (np.zeros((2, 3)), np.zeros((4, 5)), None, ShapeError, ["x (2, 3)", "w (4, 5)"]),
        (np.zeros((2, 3, 1)), np.zeros((4, 1)), None, ShapeError, ["x (2, 3, 1)"]),
        (np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(3), ShapeError, ["b", "(3,)", "(4,)"]),
        (np.zeros((2, 3)), np.zeros((4, 3), np.float32), None, ArgumentError, ["x float64", "w float32"]),
        (np.zeros((2, 3), int), np.zeros((4, 3), int), None, ArgumentError, ["x", "int64", "float32"]),
        (np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(4, np.float32), ArgumentError, ["b", "float32", "float64"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_value(x, w, b, error, words):
    with pytest.raises(error) as caught:
        ops.dense(x, w, b)
    for word in words:
        assert word in str(caught.value)


def test_deltas_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"dy \(2, 3\).*w \(4, 5\)"):
        ops.dense_backward_data(np.zeros((2, 3)), np.zeros((4, 5)))
    with pytest.raises(ShapeError, match=r"x \(2, 3\).*dy \(4, 5\)"):
        ops.dense_backward_weight(np.zeros((2, 3)), np.zeros((4, 5)))
