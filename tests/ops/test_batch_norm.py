"""Batch normalisation against its definition, forward and through the whole Jacobian."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, dtypes, held, layouts, numbers, seeds, unchanged
from hypothesis import given
from hypothesis import strategies as st
from oracles import norm as oracle

from gpucnn import ops
from gpucnn.errors import ArgumentError, ShapeError

shapes = st.sampled_from([(2, 1), (7, 3), (1, 2, 1, 3), (3, 2, 5, 2), (2, 3, 3, 1), (5, 1, 1, 4)])


@given(shapes, dtypes, seeds, layouts, st.sampled_from([1e-5, 1e-3, 1.0]), st.sampled_from([0.0, 30.0]))
def test_training_is_the_definition_forward_and_backward(shape, dtype, seed, layout, eps, offset):
    C = shape[-1]
    x, gamma, beta, dy = numbers(seed, shape, (C,), (C,), shape, dtype=dtype)
    x += dtype(offset)
    y, mean, var, saved = unchanged(
        ops.batch_norm_train, held(x, layout), held(gamma, "C order"), held(beta, "C order"), eps
    )

    # An element of x is known to eps |x|, so is the mean, and what is left of a deviation is divided by sigma: with
    # m elements in a channel the normalised numbers are wrong by (m + 4) eps (|x| + |x^|) / sigma at most.
    expected_mean, expected_var = oracle.statistics(x)
    m, sigma = x.size // C, np.sqrt(expected_var + eps)
    reach = abs(x).max(axis=tuple(range(x.ndim - 1)))  # the largest |x| of each channel
    assert_near(mean, expected_mean, dtype, reach, m + 1)
    assert_near(
        var,
        expected_var,
        dtype,
        expected_var + reach * np.sqrt(expected_var) + np.finfo(dtype).eps * reach**2,
        3 * m + 4,
    )
    hat = oracle.normalised(x, np.ones(C), np.zeros(C), expected_mean, expected_var, eps)
    blur = (1 + abs(hat)) ** 2 * (1 + reach / sigma)  # how much larger than 1 the error of x^ is, in units of eps
    expected = oracle.normalised(x, gamma, beta, expected_mean, expected_var, eps)
    assert_near(y, expected, dtype, abs(gamma) * blur + abs(beta), 3 * m + 8)

    dx, dgamma, dbeta = unchanged(ops.batch_norm_backward, held(dy, layout), saved)
    expected_dx, expected_dgamma, expected_dbeta = oracle.backward(dy, x, gamma, eps)
    columns, blur = np.float64(dy).reshape(-1, C), blur.reshape(-1, C)
    assert_near(dbeta, expected_dbeta, dtype, abs(columns).sum(axis=0), m)
    assert_near(dgamma, expected_dgamma, dtype, (abs(columns) * blur).sum(axis=0), 4 * m + 8)
    size = abs(gamma) / sigma * abs(columns).max(axis=0) * blur.max(axis=0) ** 2
    assert_near(dx, expected_dx, dtype, np.broadcast_to(size, shape), 8 * m + 16)


@given(shapes, dtypes, seeds, layouts, st.sampled_from([1e-5, 1.0]))
def test_evaluating_is_the_definition(shape, dtype, seed, layout, eps):
    C = shape[-1]
    x, gamma, beta, mean, var = numbers(seed, shape, *[(C,)] * 4, dtype=dtype)
    var = abs(var)
    y = unchanged(ops.batch_norm_eval, held(x, layout), gamma, beta, mean, var, eps)
    size = abs(gamma) * (abs(x) + abs(mean)) / np.sqrt(np.float64(var) + eps) + abs(beta)
    assert_near(y, oracle.normalised(x, gamma, beta, mean, var, eps), dtype, size, 8)


def test_a_large_mean_does_not_drown_the_variance():
    """E[x^2] - E[x]^2 would give 0 or worse here: in float32, 10^4 squared is known to 8 only."""
    x = (1e4 + np.array([-1.0, 1.0, -1.0, 1.0])).reshape(4, 1).astype(np.float32)
    y, mean, var, _ = ops.batch_norm_train(x, np.ones(1, np.float32), np.zeros(1, np.float32))
    assert (mean.item(), var.item()) == (1e4, 1.0)
    np.testing.assert_allclose(y.ravel(), [-1, 1, -1, 1], rtol=1e-5)  # eps takes 5e-6 of it


def test_a_channel_that_never_changes_gives_beta():
    x = np.full((3, 2, 2, 1), 7.0)
    y, _, var, saved = ops.batch_norm_train(x, np.ones(1), np.full(1, 0.25))
    assert var.item() == 0
    assert (y == 0.25).all()
    assert all(np.isfinite(part).all() for part in ops.batch_norm_backward(np.ones_like(x), saved))


@pytest.mark.parametrize(
    ("x", "gamma", "beta", "error", "words"),
    [
        (np.zeros(3), np.ones(3), np.zeros(3), ShapeError, ["x (3,)", "(N, ..., C)"]),
        (np.zeros((4, 3)), np.ones(4), np.zeros(3), ShapeError, ["gamma (4,)", "(C,)"]),
        (np.zeros((4, 3)), np.ones(3), np.zeros(2), ShapeError, ["beta (2,)", "(C,)"]),
        (np.zeros((1, 3)), np.ones(3), np.zeros(3), ShapeError, ["x", "(1, 3)", "two or more"]),
        (np.zeros((0, 2, 2, 3)), np.ones(3), np.zeros(3), ShapeError, ["x", "(0, 2, 2, 3)", "two or more"]),
        (np.zeros((4, 3), int), np.ones(3), np.zeros(3), ArgumentError, ["x", "int64", "float32"]),
        (np.zeros((4, 3), np.float32), np.ones(3), np.zeros(3), ArgumentError, ["x", "float32", "gamma", "float64"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_value(x, gamma, beta, error, words):
    with pytest.raises(error) as caught:
        ops.batch_norm_train(x, gamma, beta)
    for word in words:
        assert word in str(caught.value)


def test_a_delta_that_does_not_fit_is_refused():
    *_, saved = ops.batch_norm_train(np.zeros((4, 3)), np.ones(3), np.zeros(3))
    with pytest.raises(ShapeError, match=r"dy has shape \(3, 4\).*\(4, 3\)"):
        ops.batch_norm_backward(np.zeros((3, 4)), saved)
