"""The kernels that work along rows or channels: softmax, cross-entropy, batch normalisation."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from cushim.expected import reference

from gpucnn import dispatch, ops
from gpucnn.cuda import binary_cross_entropy, cross_entropy, mse, sums

SHAPES = [(1, 1), (3, 10), (9, 32), (8, 33), (17, 2), (2, 3, 101), (0, 5)]

pytestmark = pytest.mark.usefixtures("on_kernels")


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, shape, dtype):
    """An exponential of x <= 10 is wrong by |x| u and a little; sums of positive terms lose one u a term."""
    x, dy = numbers(10, shape, shape, dtype=dtype)
    function, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    y, expected = function(x), reference(function, x)
    assert_near(y, expected, dtype, abs(expected) + 1, roundings=shape[-1] + 32)
    size = abs(np.float64(dy)).sum(axis=-1, keepdims=True) + np.zeros(shape)
    assert_near(backward(dy, y), reference(backward, dy, y), dtype, size, roundings=shape[-1] + 32)


@pytest.mark.parametrize("shape", [(1, 1), (9, 32), (8, 33), (57, 10), (301, 3), (0, 5)])
def test_count_of_what_is_right(shape, dtype):
    """Many scores are equal, some infinite or no number; every fifth label is of no class."""
    scores = np.round(numbers(16, shape, dtype=dtype)[0])
    scores[scores == 2], scores[scores == -2] = np.nan, -np.inf
    labels = np.array([highest(row) for row in scores], np.int64)
    labels[1::3] = 0
    labels[::5] = [-1, shape[1], 2**32, -(2**63)][len(labels) % 4]
    right = sum(highest(row) == label for row, label in zip(scores, labels, strict=True))
    np.testing.assert_array_equal(ops.count_correct(scores, labels), [right])
    with dispatch.using("reference"):
        np.testing.assert_array_equal(ops.count_correct(scores, labels), [right])


def highest(row: np.ndarray) -> int:
    """Return where the first NaN stands, or else the first of the largest numbers."""
    best = 0
    for k, score in enumerate(row):
        if score > row[best] or (np.isnan(score) and not np.isnan(row[best])):
            best = k
    return best


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_scores_at_the_ends(name, dtype):
    most = float(np.finfo(dtype).max)
    inf, nan = np.inf, np.nan
    x = np.array(
        [[0, 1e4, -1e4], [most, -most, 0], [-inf, 0, 1], [-inf, -inf, -inf], [inf, 0, 1], [nan, 0, 1], [1, nan, inf]],
        dtype,
    )
    function = getattr(ops, name)
    y = function(x)
    with np.errstate(all="ignore"), dispatch.using("reference"):
        np.testing.assert_allclose(y, function(x), rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (9, 10), (5, 33), (40, 3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(shape, smoothing, weighted, dtype):
    rng = np.random.default_rng(11)
    scores, labels = rng.standard_normal(shape).astype(dtype), rng.integers(0, shape[1], shape[0])
    weights = rng.uniform(0.5, 2, shape[1]).astype(dtype) if weighted else None
    loss, saved = ops.cross_entropy(scores, labels, weights, label_smoothing=smoothing)
    expected, kept = reference(ops.cross_entropy, scores, labels, weights, label_smoothing=smoothing)
    assert_near(loss, expected, dtype, 1 + abs(expected), roundings=shape[0] + shape[1] + 32)
    dx = ops.cross_entropy_backward(labels, saved, weights, label_smoothing=smoothing)
    expected = reference(ops.cross_entropy_backward, labels, kept, weights, label_smoothing=smoothing)
    assert_near(dx, expected, dtype, np.full(shape, 4 / shape[0]), roundings=shape[1] + 32)


@pytest.mark.parametrize("shape", [(1, 1), (5, 33), (600, 3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_and_its_gradient_at_once(shape, smoothing, dtype):
    rng = np.random.default_rng(17)
    scores, labels = rng.standard_normal(shape).astype(dtype), rng.integers(0, shape[1], shape[0])
    loss, dx = ops.cross_entropy_gradient(scores, labels, label_smoothing=smoothing)
    expected, slope = reference(ops.cross_entropy_gradient, scores, labels, label_smoothing=smoothing)
    assert_near(loss, expected, dtype, 1 + abs(expected), roundings=shape[0] + shape[1] + 32)
    assert_near(dx, slope, dtype, np.full(shape, 4 / shape[0]), roundings=shape[1] + 32)


@pytest.mark.parametrize("shape", [(1, 1), (9, 10), (5, 33), (40, 3)])
@pytest.mark.parametrize("options", [{}, {"low": -0.8, "high": 0.9, "reduction": "half_sum"}])
def test_mse(shape, options, dtype):
    rng = np.random.default_rng(15)
    scores, labels = rng.standard_normal(shape).astype(dtype), rng.integers(0, shape[1], shape[0]).astype(np.int32)
    loss, expected = ops.mse(scores, labels, **options), reference(ops.mse, scores, labels, **options)
    assert_near(loss, expected, dtype, expected, roundings=shape[0] + shape[1] + 8)
    dx = ops.mse_backward(scores, labels, **options)
    expected = reference(ops.mse_backward, scores, labels, **options)
    assert_near(dx, expected, dtype, (abs(scores) + 1) * (2 / shape[0]), roundings=4)


@pytest.mark.parametrize("shape", [(1, 1), (9, 10), (5, 33), (40, 3)])
def test_binary_cross_entropy(shape, dtype):
    rng = np.random.default_rng(16)
    scores, labels = 4 * rng.standard_normal(shape).astype(dtype), rng.integers(0, shape[1], shape[0])
    loss, expected = (of(ops.binary_cross_entropy, scores, labels) for of in (called, reference))
    assert_near(loss, expected, dtype, expected, roundings=shape[0] + shape[1] + 32)
    dx, expected = (of(ops.binary_cross_entropy_backward, scores, labels) for of in (called, reference))
    assert_near(dx, expected, dtype, np.full(shape, 1 / scores.size), roundings=32)


def test_losses_of_scores_at_the_ends(dtype):
    """A confident answer costs nothing if it is right and as much as the score if it is wrong: nothing overflows."""
    scores = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype)
    assert ops.binary_cross_entropy(scores, np.array([0, 1])) == 0
    assert ops.binary_cross_entropy(scores, np.array([1, 0])) == 1e4
    np.testing.assert_array_equal(4 * ops.binary_cross_entropy_backward(scores, np.array([1, 0])), [[1, -1], [-1, 1]])
    for bad in (np.nan, np.inf):
        scores[0, 0] = bad
        assert not np.isfinite(ops.binary_cross_entropy(scores, np.array([1, 1])))
        assert not np.isfinite(ops.mse(scores, np.array([1, 1])))


def test_squares_and_questions_of_a_label_that_is_no_class():
    """On a GPU labels are not looked at first: there is no target then, and no class whose answer is yes."""
    scores, labels = np.full((2, 4), 0.5), np.array([-1, 4])
    assert mse.mse(scores, labels, 0.0, 9.0, 2 / 8) == 0.25
    np.testing.assert_array_equal(mse.mse_backward(scores, labels, 0.0, 9.0, 1.0), scores)
    dx = binary_cross_entropy.binary_cross_entropy_backward(scores, labels)
    np.testing.assert_allclose(dx, 1 / (1 + np.exp(-0.5)) / 8)


def called(operation, *given):
    return operation(*given)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_label_that_is_no_class_has_no_target(weighted):
    """On a GPU labels are not looked at first: here the kernel is called beneath that check."""
    scores, labels = np.zeros((3, 4)), np.array([1, -1, 4], np.int32)
    weights = np.array([1.0, 2.0, 3.0, 4.0]) if weighted else None
    total = 2 if weighted else 3
    loss, saved = cross_entropy.cross_entropy(scores, labels, weights, 0.0)
    assert loss == pytest.approx(np.log(4) * (2 if weighted else 1) / total)
    dx = cross_entropy.cross_entropy_backward(labels, saved, weights, 0.0)
    np.testing.assert_array_equal(dx[1:], 0)
    np.testing.assert_allclose(dx[0], np.array([1, -3, 1, 1]) / 4 * (2 if weighted else 1) / total)


@pytest.mark.parametrize("shape", [(2, 1), (3, 300), (2, 5, 7, 3), (211, 2)])
@pytest.mark.parametrize("terms", [512, 16])
def test_batch_norm(shape, terms, dtype, monkeypatch):
    """With a mean of 1000 and a deviation of 1: E[x^2] - E[x]^2 would be nothing but rounding in float32."""
    monkeypatch.setattr(sums, "TERMS", terms)
    channels, rows = shape[-1], int(np.prod(shape[:-1]))
    x, gamma, beta, dy = numbers(12, shape, (channels,), (channels,), shape, dtype=dtype)
    x += 1000
    y, mean, var, saved = ops.batch_norm_train(x, gamma, beta, 1e-3)
    y_expected, mean_expected, var_expected, kept = reference(ops.batch_norm_train, x, gamma, beta, 1e-3)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(mean, mean_expected, rtol=4 * eps)
    np.testing.assert_allclose(var, var_expected, rtol=0, atol=2000 * eps * rows)
    deep = (
        1000 * eps * 8 * 32
    )  # a deviation is wrong by a rounding of the mean, and grows by 1 / sqrt(eps) = 32 at most
    np.testing.assert_allclose(y, y_expected, rtol=0, atol=deep * 4)
    given = type(saved)(*(array.astype(dtype) for array in kept))
    dx, dgamma, dbeta = ops.batch_norm_backward(dy, given)
    expected = reference(ops.batch_norm_backward, np.float64(dy), type(saved)(*map(np.float64, given)))
    for actual, wanted in zip((dx, dgamma, dbeta), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=32 * eps * (rows + 32))
    assert all(v.dtype == dtype for v in (y, mean, var, *saved, dx, dgamma, dbeta))


def test_batch_norm_eval(dtype):
    x, gamma, beta, mean = numbers(13, (2, 3, 5, 7), (7,), (7,), (7,), dtype=dtype)
    var = np.linspace(0.1, 3, 7, dtype=dtype)
    y = ops.batch_norm_eval(x, gamma, beta, mean, var, 1e-3)
    expected = reference(ops.batch_norm_eval, x, gamma, beta, mean, var, 1e-3)
    np.testing.assert_allclose(y, expected, rtol=0, atol=100 * np.finfo(dtype).eps)
