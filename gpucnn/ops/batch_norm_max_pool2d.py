"""Batch normalisation and the maximum of each window after it, maybe with a relu.

    y = max over each window of v      v = gamma (x - mean) / sqrt(var + eps) + beta

Compositions of `gpucnn.ops.batch_norm` and `gpucnn.ops.pool2d`, where the maths is: where a room computes them at once,
the normalised images are never written, and neither is their gradient, most of which is zero.
"""

from __future__ import annotations

from typing import NamedTuple

from gpucnn.backend import Array
from gpucnn.dispatch import composition
from gpucnn.errors import ShapeError
from gpucnn.ops import batch_norm
from gpucnn.ops.batch_norm_activation import Running, batch_norm_activation_train
from gpucnn.ops.checks import check_images
from gpucnn.ops.pool2d import max_pool2d, max_pool2d_backward, pool_window
from gpucnn.ops.window import PaddingLike, PairLike, Window


class Saved(NamedTuple):
    """What the backward pass needs: that of the norm, beta, and where in its window each maximum stood."""

    norm: batch_norm.Saved
    beta: Array
    chosen: Array


def batch_norm_max_pool2d_train(
    x: Array,
    gamma: Array,
    beta: Array,
    kernel_size: PairLike,
    *,
    eps: float = 1e-5,
    stride: PairLike | None = None,
    padding: PaddingLike = 0,
    relu: bool = False,
    running: Running | None = None,
) -> tuple[Array, Saved]:
    """Return y (N, P, Q, C), or relu(y), and what `batch_norm_max_pool2d_backward` needs.

    x, gamma, beta, eps: as in `batch_norm_train`; kernel_size, stride, padding: as in `max_pool2d`. running: takes in
    the batch.

    >>> import numpy as np
    >>> x, one = np.array([[1.0, 3.0], [1.0, 3.0]]).reshape(1, 2, 2, 1), np.ones(1)
    >>> batch_norm_max_pool2d_train(x, one, 0 * one, 2, eps=0.0)[0].ravel()
    array([1.])
    """
    check_images(x=x)
    batch_norm.check(x, gamma, beta, train=True)
    window = pool_window(x.shape, kernel_size, stride, padding)
    y, (norm, *rest) = _batch_norm_max_pool2d_train(x, gamma, beta, eps, window, relu, running)
    return y, Saved(batch_norm.Saved(*norm), *rest)


@composition
def _batch_norm_max_pool2d_train(
    x: Array, gamma: Array, beta: Array, eps: float, window: Window, relu: bool, running: Running | None
) -> tuple[Array, Saved]:
    v, _, _, saved = batch_norm_activation_train(x, gamma, beta, eps, running=running)
    y, index = max_pool2d(v, window.kernel, stride=window.stride, padding=window.pads, relu=relu)
    return y, Saved(saved.norm, beta, index)


def batch_norm_max_pool2d_backward(
    dy: Array, saved: Saved, kernel_size: PairLike, *, stride: PairLike | None = None, padding: PaddingLike = 0
) -> tuple[Array, Array, Array]:
    """Return dx (N, H, W, C), dgamma (C,) and dbeta (C,), given dy (N, P, Q, C) and what the forward pass saved."""
    check_images(dy=dy)
    if dy.shape != saved.chosen.shape:
        raise ShapeError(f"dy has shape {dy.shape}: it must be that of y, {saved.chosen.shape}")
    return _batch_norm_max_pool2d_backward(dy, saved, pool_window(saved.norm.x.shape, kernel_size, stride, padding))


@composition
def _batch_norm_max_pool2d_backward(dy: Array, saved: Saved, window: Window) -> tuple[Array, Array, Array]:
    x = saved.norm.x
    dv = max_pool2d_backward(dy, saved.chosen, x.shape, window.kernel, stride=window.stride, padding=window.pads)
    return batch_norm.batch_norm_backward(dv, saved.norm)
