"""Softmax and its logarithm over the last axis, forward and backward, for scores of any finite size.

    softmax(x)_k     = exp(x_k) / sum_j exp(x_j)
    log_softmax(x)_k = x_k - log sum_j exp(x_j)

Both stay the same where a constant is taken from every x_k; the maximum is, so that no exponential overflows and
one of them is 1. Arrays: (..., K), float32 or float64; the results have the shape and dtype of x. A score of minus
infinity has probability 0; a row that holds NaN or plus infinity becomes NaN.
"""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation


@operation
def softmax(x: Array) -> Array:
    """Return exp(x_k) / sum_j exp(x_j), shape (..., K).

    >>> softmax(np.array([0.0, np.log(3.0)])).round(6).tolist()
    [0.25, 0.75]
    """
    y = _below_maximum(x)
    array_module(x).exp(y, out=y)
    y /= y.sum(axis=-1, keepdims=True)
    return y


@operation
def softmax_backward(dy: Array, y: Array) -> Array:
    """Return dx_k = y_k (dy_k - sum_j dy_j y_j), where y = softmax(x).

    >>> softmax_backward(np.array([1.0, 0.0]), softmax(np.array([0.0, 0.0]))).tolist()
    [0.25, -0.25]
    """
    dx: Array = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    return dx


@operation
def log_softmax(x: Array) -> Array:
    """Return x_k - log sum_j exp(x_j), shape (..., K): finite for every finite x.

    >>> log_softmax(np.array([[0.0, 1e4]])).tolist()
    [[-10000.0, 0.0]]
    """
    xp = array_module(x)
    y = _below_maximum(x)
    y -= xp.log(xp.exp(y).sum(axis=-1, keepdims=True))
    return y


@operation
def log_softmax_backward(dy: Array, y: Array) -> Array:
    """Return dx_k = dy_k - exp(y_k) sum_j dy_j, where y = log_softmax(x).

    >>> log_softmax_backward(np.array([-1.0, 0.0]), log_softmax(np.array([0.0, 0.0]))).tolist()
    [-0.5, 0.5]
    """
    dx: Array = dy - array_module(y).exp(y) * dy.sum(axis=-1, keepdims=True)
    return dx


def _below_maximum(x: Array) -> Array:
    """Return x_k - max_j x_j; where x_k is finite and the difference is not, the dtype's lowest number."""
    xp = array_module(x)
    with np.errstate(over="ignore", invalid="ignore"):  # inf - inf is NaN, as it should be
        y = x - x.max(axis=-1, keepdims=True)
    held: Array = xp.maximum(y, xp.minimum(x, xp.finfo(x.dtype).min), out=y)
    return held
