"""Batch normalisation and the maxima after it at once: as one after the other in float64, ties and NaN included."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.halves import Half
from cushim.expected import reference

from gpucnn import dispatch, ops
from gpucnn.cuda import sums
from gpucnn.dispatch import recorded
from gpucnn.ops import batch_norm
from gpucnn.ops.batch_norm_activation import Running
from gpucnn.ops.batch_norm_max_pool2d import Pooling, Saved

pytestmark = pytest.mark.usefixtures("on_kernels")

CASES = [
    ((2, 4, 6, 3), Pooling(2, relu=True)),
    ((3, 7, 5, 8), Pooling(3, 2, 1, relu=True)),
    ((2, 5, 4, 260), Pooling((2, 1), (1, 2))),
    ((5, 9, 9, 1), Pooling((3, 2), 4, ((1, 0), (0, 1)))),
]


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


def kept_as(saved: Saved, dtype: str) -> Saved:
    """Return what the reference saved, in another dtype."""
    norm = batch_norm.Saved(*(array.astype(dtype) for array in saved.norm))
    return saved._replace(norm=norm, beta=saved.beta.astype(dtype))


@pytest.mark.parametrize(("shape", "pooling"), CASES)
def test_forward_and_backward_are_the_reference(shape, pooling, dtype, monkeypatch):
    """Of whole numbers, so that windows hold their maximum twice; of gammas of both signs."""
    monkeypatch.setattr(sums, "TERMS", 16)
    x, gamma, beta = numbers(41, shape, shape[-1:], shape[-1:], dtype=dtype)
    x, rows = np.round(2 * x), x.size // shape[-1]
    running, other = (Running(np.ones(shape[-1], kind), np.ones(shape[-1], kind), 0.2) for kind in (dtype, np.float64))
    with recorded() as decisions:
        y, saved = ops.batch_norm_max_pool2d_train(x, gamma, beta, pooling, 1e-3, running)
    assert [decision.operation for decision in decisions] == ["batch_norm_max_pool2d_train"]
    with dispatch.using("reference"):
        wide = map(np.float64, (x, gamma, beta))
        expected, kept = ops.batch_norm_max_pool2d_train(*wide, pooling, 1e-3, other)
    size = 64 * (1 + abs(gamma))
    assert_near(y, expected, dtype, size, roundings=rows + 8)
    np.testing.assert_array_equal(saved.chosen, kept.chosen)
    assert_near(running.mean, other.mean, dtype, 8, roundings=rows)
    assert_near(running.var, other.var, dtype, 64, roundings=rows)
    (dy,) = numbers(42, y.shape, dtype=dtype)
    found = ops.batch_norm_max_pool2d_backward(dy, kept_as(kept, dtype))
    wanted = reference(ops.batch_norm_max_pool2d_backward, dy, kept)
    for one, exact in zip(found, wanted, strict=True):
        assert one.dtype == dtype
        assert_near(one, exact, dtype, 64 * (1 + abs(gamma)) * (1 + abs(dy).max()) * 9, roundings=rows)


def test_a_nan_and_windows_without_a_positive_number_pass_nothing_back():
    x = np.zeros((1, 2, 6, 1), np.float32)
    x[0, 0, :] = [[9], [8], [0], [1], [5], [5]]
    one = np.ones(1, np.float32)
    y, saved = ops.batch_norm_max_pool2d_train(x, one, 0 * one, Pooling(2, relu=True))
    assert (y.ravel() > 0).tolist() == [True, False, True]
    assert saved.chosen.ravel().tolist() == [0, 4, 0]
    _, _, dbeta = ops.batch_norm_max_pool2d_backward(np.float32([1, 2, 4]).reshape(y.shape), saved)
    assert dbeta.tolist() == [5]
    x[0, 1, 1] = np.nan
    y, saved = ops.batch_norm_max_pool2d_train(x, one, 0 * one, Pooling(2))
    assert np.isnan(y).all()
    assert (saved.chosen == 4).all()


def test_halves_choose_as_if_what_is_normalised_were_written(half: Half):
    (x,) = half.numbers(43, (4, 6, 6, 8))
    gamma, beta = numbers(44, (8,), (8,), dtype=np.float32)
    y, saved = ops.batch_norm_max_pool2d_train(x, gamma, beta, Pooling(3, 2, 1))
    v, _, _, norm = ops.batch_norm_activation_train(x, gamma, beta)
    maxima, index = ops.max_pool2d(v, 3, stride=2, padding=1)
    np.testing.assert_array_equal(y, maxima)
    np.testing.assert_array_equal(saved.chosen, index)
    (dy,) = half.numbers(45, y.shape)
    dx, dgamma, dbeta = ops.batch_norm_max_pool2d_backward(dy, saved)
    dv = ops.max_pool2d_backward(np.float64(dy), index, x.shape, 3, stride=2, padding=1)
    kept = batch_norm.Saved(*map(np.float64, norm.norm))
    expected = reference(ops.batch_norm_backward, dv, kept)
    assert dx.dtype == half.dtype
    half.assert_near(dx, expected[0], 32 * (1 + abs(gamma)), roundings=8)
    for one, exact in ((dgamma, expected[1]), (dbeta, expected[2])):
        assert_near(one, exact, np.float32, 64 * abs(np.float64(dy)).sum(axis=(0, 1, 2)), roundings=64)


def test_windows_whose_places_are_no_bytes_are_computed_one_after_the_other():
    (x,) = numbers(46, (1, 17, 17, 2), dtype=np.float32)
    one = np.ones(2, np.float32)
    with recorded() as decisions:
        y, saved = ops.batch_norm_max_pool2d_train(x, one, one, Pooling(16, 1))
        ops.batch_norm_max_pool2d_backward(y, saved)
    names = [decision.operation for decision in decisions]
    assert names == ["batch_norm_activation_train", "max_pool2d", "max_pool2d_backward", "batch_norm_backward"]
