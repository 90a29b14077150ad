"""Softmax and log-softmax: against plain loops, against differences, and where exponentials end."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpucnn.ops.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
seeds = st.integers(0, 2**32 - 1)


def softmax_oracle(x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    for place in np.ndindex(x.shape[:-1]):
        total = math.fsum(math.exp(v) for v in x[place])
        for k in range(x.shape[-1]):
            y[(*place, k)] = math.exp(x[(*place, k)]) / total
    return y


@given(shapes, seeds)
def test_values_are_the_oracles(shape, seed):
    x = 3 * np.random.default_rng(seed).standard_normal(shape)
    expected = softmax_oracle(x)
    np.testing.assert_allclose(softmax(x), expected, rtol=1e-14)
    np.testing.assert_allclose(log_softmax(x), np.log(expected), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    ("forward", "backward"), [(softmax, softmax_backward), (log_softmax, log_softmax_backward)], ids=["softmax", "log"]
)
@given(seed=seeds, shape=st.tuples(st.integers(1, 3), st.integers(2, 5)))
def test_gradient_is_the_slope(forward, backward, seed, shape):
    """Central differences: h = 1e-5 leaves about 1e-10; the direction follows the gradient, so that it is not 0."""
    rng = np.random.default_rng(seed)
    x, dy = np.clip(rng.standard_normal(shape), -2, 2), rng.standard_normal(shape)
    gradient = backward(dy, forward(x))
    direction = gradient / np.linalg.norm(gradient)
    slope = ((forward(x + 1e-5 * direction) - forward(x - 1e-5 * direction)) * dy).sum() / 2e-5
    expected = (gradient * direction).sum()
    assert abs(expected) > 1e-5, "a check of nothing: both sides are near zero"
    assert abs(slope - expected) < 1e-6 * abs(expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_finite_size_gives_finite_results(dtype):
    top = np.finfo(dtype).max
    x = np.array([[top, -top, 0], [-top, -top, -top], [1000, 1001, -1000]], dtype)
    y, logs = softmax(x), log_softmax(x)
    assert y.dtype == logs.dtype == dtype
    e = math.e
    np.testing.assert_allclose(y, [[1, 0, 0], [1 / 3] * 3, [1 / (1 + e), e / (1 + e), 0]], rtol=4 * np.finfo(dtype).eps)
    assert np.isfinite(logs).all()
    assert logs[0, 0] == 0
    assert logs[0, 1] == -top


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_visible(value):
    x = np.array([[value, 0.0], [1.0, 2.0]])
    for y in softmax(x), log_softmax(x):
        assert np.isnan(y[0]).any()
        assert np.isfinite(y[1]).all()


def test_minus_infinity_is_impossible():
    x = np.array([-np.inf, 0.0, 0.0])
    assert softmax(x).tolist() == [0.0, 0.5, 0.5]
    assert log_softmax(x)[0] == -np.inf


@pytest.mark.parametrize("view", [lambda x: x[::2, ::-1], np.asfortranarray, lambda x: np.moveaxis(x, 0, 1)])
def test_layout_does_not_matter_and_inputs_stay(view, rng):
    x = view(rng.standard_normal((4, 6)))
    dy = view(rng.standard_normal((4, 6)))
    before = x.copy(), dy.copy()
    for forward, backward in (softmax, softmax_backward), (log_softmax, log_softmax_backward):
        y = forward(x)
        kept = y.copy()
        np.testing.assert_allclose(y, forward(before[0]), rtol=1e-15)
        np.testing.assert_allclose(backward(dy, y), backward(before[1], kept), rtol=1e-14, atol=1e-15)
        np.testing.assert_equal((x, dy, y), (*before, kept))


@pytest.mark.torch
def test_is_pytorchs(rng):
    torch = pytest.importorskip("torch")
    x, dy = rng.standard_normal((5, 7)) * 5, rng.standard_normal((5, 7))
    for forward, backward, theirs in (
        (softmax, softmax_backward, torch.softmax),
        (log_softmax, log_softmax_backward, torch.log_softmax),
    ):
        their_x = torch.tensor(x, requires_grad=True)
        their_y = theirs(their_x, dim=-1)
        their_y.backward(torch.tensor(dy))
        y = forward(x)
        np.testing.assert_allclose(y, their_y.detach().numpy(), rtol=1e-13)
        np.testing.assert_allclose(backward(dy, y), their_x.grad.numpy(), rtol=1e-12, atol=1e-15)
