"""Squared error of scores against one-hot targets between two levels.

Scores x (N, K), labels l (N,), targets t_nk = high where k = l_n, low elsewhere:

    loss = slope / 2 sum_nk (x_nk - t_nk)^2          dx_nk = slope (x_nk - t_nk)

    reduction   mean: slope = 2 / (N K)              half_sum: slope = 1 / N
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation
from gpucnn.ops.labels import check_labels, one_hot

Reduction = Literal["mean", "half_sum"]


def mse(scores: Array, labels: Array, *, low: float = 0.0, high: float = 1.0, reduction: Reduction = "mean") -> Array:
    """Return the loss of scores (N, K), float32 or float64, an array of no dimensions; labels: (N,), from 0 to K - 1.

    >>> float(mse(np.array([[0.0, 3.0]]), np.array([0]))), float(mse(np.eye(2), np.array([0, 1])))
    (5.0, 0.0)
    """
    check_labels(scores, labels)
    return _mse(scores, labels, low, high, _slope(scores, reduction))


def mse_backward(
    scores: Array, labels: Array, *, low: float = 0.0, high: float = 1.0, reduction: Reduction = "mean"
) -> Array:
    """Return d loss / d scores (N, K), given what `mse` was given.

    >>> mse_backward(np.array([[0.0, 3.0]]), np.array([0]), reduction="half_sum").tolist()
    [[-1.0, 3.0]]
    """
    check_labels(scores, labels)
    return _mse_backward(scores, labels, low, high, _slope(scores, reduction))


@operation
def _mse(scores: Array, labels: Array, low: float, high: float, slope: float) -> Array:
    xp = array_module(scores)
    with np.errstate(over="ignore"):  # infinite where the dtype cannot hold it, which the trainer reports
        loss = xp.square(_difference(scores, labels, low, high), dtype=np.float64).sum() * (slope / 2)
        found: Array = xp.asarray(loss, scores.dtype)
    return found


@operation
def _mse_backward(scores: Array, labels: Array, low: float, high: float, slope: float) -> Array:
    dx: Array = _difference(scores, labels, low, high) * slope
    return dx


def _difference(scores: Array, labels: Array, low: float, high: float) -> Array:
    """Return x - t, shape (N, K)."""
    targets = array_module(scores).where(one_hot(scores, labels), high, low)
    difference: Array = scores - targets.astype(scores.dtype)
    return difference


def _slope(scores: Array, reduction: Reduction) -> float:
    return 2 / scores.size if reduction == "mean" else 1 / len(scores)
