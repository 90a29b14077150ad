"""Batch normalisation: each channel to mean 0 and variance 1 over the batch, then scaled by gamma and shifted by beta.

Over the M elements of a channel (all axes but the last):

    mean = sum x / M    var = sum (x - mean)^2 / M    xhat = (x - mean) / sqrt(var + eps)    y = gamma xhat + beta
    dbeta = sum dy      dgamma = sum dy xhat
    dx = gamma / sqrt(var + eps) (dy - dbeta / M - xhat dgamma / M)

The variance is computed from deviations, never as E[x^2] - E[x]^2, which cancels. Backward needs x itself, which is
there anyway, and the statistics.

Source: S. Ioffe and C. Szegedy, "Batch Normalization", arXiv:1502.03167.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gpucnn.backend import Array, Shape, array_module
from gpucnn.dispatch import mixed_operation, operation
from gpucnn.errors import ShapeError
from gpucnn.ops.checks import check_beside, check_dtypes
from gpucnn.ops.sums import sum_rows


class Saved(NamedTuple):
    """What the backward pass needs: x, its mean, 1 / sqrt(var + eps) and gamma."""

    x: Array
    mean: Array
    inverse: Array
    gamma: Array


def batch_norm_train(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Array, Array, Saved]:
    """Return y, the batch's mean (C,) and variance (C,, divided by M), and what `batch_norm_backward` needs.

    x: (N, ..., C); gamma, beta: (C,), in the dtype of x, or float32 where x is of a half precision: so are all results
    but y. Raises ShapeError where a channel has a single element.

    >>> import numpy as np
    >>> y, mean, var, _ = batch_norm_train(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1), eps=0.0)
    >>> y.ravel(), mean, var
    (array([-1.,  1.]), array([2.]), array([1.]))
    """
    check(x, gamma, beta, train=True)
    y, mean, var, saved = _batch_norm_train(x, gamma, beta, eps)
    return y, mean, var, Saved(x, *saved[1:])


@mixed_operation
def _batch_norm_train(
    x: Array, gamma: Array, beta: Array, eps: float
) -> tuple[Array, Array, Array, tuple[Array, Array, Array, Array]]:
    count = x.size // x.shape[-1]
    mean = sum_rows(x) / count
    deviation = x - mean
    var = sum_rows(deviation * deviation) / count
    inverse = 1.0 / array_module(x).sqrt(var + eps)
    y = deviation * (gamma * inverse)
    y += beta
    return y, mean, var, (x, mean, inverse, gamma)


def batch_norm_eval(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float = 1e-5) -> Array:
    """Return y for statistics (mean, var) that are given, as when evaluating.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> batch_norm_eval(np.array([[5.0]]), gamma=2 * one, beta=one, mean=3 * one, var=4 * one, eps=0.0)
    array([[3.]])
    """
    check(x, gamma, beta)
    return _batch_norm_eval(x, gamma, beta, mean, var, eps)


@operation
def _batch_norm_eval(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> Array:
    scale = gamma / array_module(x).sqrt(var + eps)
    y: Array = x * scale
    y += beta - mean * scale
    return y


def batch_norm_backward(dy: Array, saved: Saved) -> tuple[Array, Array, Array]:
    """Return dx, dgamma (C,) and dbeta (C,), given dy and what `batch_norm_train` returned."""
    check_dy(dy, saved)
    return _batch_norm_backward(dy, saved)


@mixed_operation
def _batch_norm_backward(dy: Array, saved: Saved) -> tuple[Array, Array, Array]:
    x, mean, inverse, gamma = saved
    deviation = x - mean
    count = dy.size // dy.shape[-1]
    dbeta = sum_rows(dy)
    dgamma = sum_rows(dy * deviation) * inverse
    dx = deviation
    dx *= -inverse * dgamma / count
    dx += dy
    dx -= dbeta / count
    dx *= gamma * inverse
    return dx, dgamma, dbeta


def check(x: Array, gamma: Array, beta: Array, train: bool = False, shape: Shape | None = None) -> None:
    """Raise unless these fit each other; train: and statistics can be taken of x.

    shape: of what is normalised, where that is yet to be computed from x.
    """
    shape = x.shape if shape is None else shape
    check_beside(x, gamma=gamma, beta=beta)
    if len(shape) < 2 or gamma.shape != shape[-1:] or beta.shape != shape[-1:]:
        raise ShapeError(f"x {shape}, gamma {gamma.shape}, beta {beta.shape}: must be (N, ..., C), (C,), (C,)")
    if train and math.prod(shape[:-1]) < 2:
        raise ShapeError(f"x has shape {shape}: batch_norm needs two or more elements a channel to train on")


def check_dy(dy: Array, saved: Saved) -> None:
    """Raise unless dy fits what the forward pass saved."""
    check_dtypes(dy=dy, x=saved.x)
    if dy.shape != saved.x.shape:
        raise ShapeError(f"dy has shape {dy.shape}: it must be that of x, {saved.x.shape}")
