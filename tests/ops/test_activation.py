"""Activations and softmax against the formulas of the papers, one number at a time."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, dtypes, held, layouts, seeds, unchanged
from hypothesis import given
from hypothesis import strategies as st
from oracles import activation as oracle

from gpucnn import ops
from gpucnn.errors import ArgumentError

NAMES = sorted(oracle.ACTIVATIONS)
ARGUMENTS = {"leaky_relu": {"slope": 0.2}, "elu": {"alpha": 1.7}}
ROUNDINGS = 8
"""An activation is a handful of operations, each rounded once, with values of the size of 1 + |x| in between."""


def spread(seed: int, dtype: type) -> np.ndarray:
    """Return numbers of all sizes, where nothing may overflow, cancel or lose its sign; never 0, where relu bends."""
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(-6, 2, (3, 2, 5))
    size.flat[:3] = 1e4, 30.0, 0.46875
    return (size * rng.choice([-1, 1], size.shape)).astype(dtype)


@pytest.mark.parametrize("name", NAMES)
@given(dtype=dtypes, seed=seeds, layout=layouts, given_arguments=st.booleans())
def test_an_activation_is_its_formula_forward_and_backward(name, dtype, seed, layout, given_arguments):
    arguments = ARGUMENTS.get(name, {}) if given_arguments else {}
    x = spread(seed, dtype)
    dy = np.random.default_rng(seed + 1).standard_normal(x.shape).astype(dtype)
    y = unchanged(getattr(ops, name), held(x, layout), **arguments)
    assert_near(y, oracle.forward(name, x, **arguments), dtype, 1 + abs(x), ROUNDINGS)
    backward = getattr(ops, f"{name}_backward")
    dx = unchanged(backward, held(dy, layout), held(x, layout), held(y, "C order"), **arguments)
    # y is rounded before the derivative is taken of it, and 1.7159, 1.7 and gelu's 1.13 are the steepest slopes.
    assert_near(dx, dy * oracle.derivative(name, x, **arguments), dtype, 2 * abs(dy), ROUNDINGS)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("relu", -2.0, 0.0),
        ("leaky_relu", -2.0, -0.02),
        ("sigmoid", 0.0, 0.5),
        ("tanh", 0.0, 0.0),
        ("scaled_tanh", 1.0, 1.0000),  # LeCun et al. chose the constants so that f(1) = 1
        ("softplus", 0.0, 0.6931),
        ("elu", -1.0, -0.6321),
        ("gelu", 1.0, 0.8413),  # the normal distribution's 84.13 % below one sigma
        ("silu", 1.0, 0.7311),
    ],
)
def test_a_value_known_by_heart(name, x, y):
    assert getattr(ops, name)(np.array([x])).item() == pytest.approx(y, abs=5e-5)


@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers_are_refused(name):
    with pytest.raises(ArgumentError, match="x has dtype int64: it must be float16, bfloat16, float32 or float64"):
        getattr(ops, name)(np.arange(3))


def test_relu_at_zero_passes_no_gradient():
    zero = np.zeros(1)
    assert ops.relu_backward(np.ones(1), zero, ops.relu(zero)).item() == 0


scores = st.tuples(st.integers(1, 4), st.integers(1, 7))


@given(scores, dtypes, seeds, layouts, st.sampled_from([1.0, 50.0, 1e4]))
def test_softmax_and_its_logarithm_are_their_formulas(shape, dtype, seed, layout, scale):
    x = (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)
    expected = oracle.log_softmax(x)
    log_y = unchanged(ops.log_softmax, held(x, layout))
    K = shape[1]
    assert_near(log_y, expected, dtype, 1 + 2 * abs(x).max(), K + 4)
    y = unchanged(ops.softmax, held(x, layout))
    # exp(x - top) is wrong by eps |x - top| relatively: where it is large, the difference is small.
    assert_near(y, np.exp(expected), dtype, 1 + abs(x).max(), K + 4)
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=4 * K * np.finfo(dtype).eps)


def test_softmax_does_not_see_a_constant_added_to_all_scores():
    x = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(ops.softmax(x + 1024), ops.softmax(x))
