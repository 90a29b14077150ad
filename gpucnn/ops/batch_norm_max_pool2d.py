"""Batch normalisation and the maximum of each window after it, maybe with a relu, maybe behind a convolution.

    y = max over each window of v      v = gamma (x - mean) / sqrt(var + eps) + beta

Compositions of `gpucnn.ops.batch_norm` and `gpucnn.ops.pool2d`, where the maths is: where a room computes them at once,
the normalised images are never written, and neither is their gradient, most of which is zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucnn.backend import Array, Shape
from gpucnn.dispatch import composition
from gpucnn.errors import ShapeError
from gpucnn.ops import batch_norm
from gpucnn.ops.batch_norm_activation import Running, batch_norm_activation_train
from gpucnn.ops.checks import check_images
from gpucnn.ops.conv2d import checked_window, conv2d
from gpucnn.ops.pool2d import max_pool2d, max_pool2d_backward, pool_window
from gpucnn.ops.window import PaddingLike, PairLike, Window


class Pooling(NamedTuple):
    """Which maxima are taken: kernel_size, stride, padding and relu as in `max_pool2d`."""

    kernel_size: PairLike
    stride: PairLike | None = None
    padding: PaddingLike = 0
    relu: bool = False

    def window(self, shape: Shape) -> Window:
        """Return the window over images of this shape, (N, H, W, C)."""
        return pool_window(shape, self.kernel_size, self.stride, self.padding)


class Saved(NamedTuple):
    """What the backward pass needs: that of the norm, beta, where in its window each maximum stood, and the window."""

    norm: batch_norm.Saved
    beta: Array
    chosen: Array
    window: Window


def batch_norm_max_pool2d_train(
    x: Array, gamma: Array, beta: Array, pooling: Pooling, eps: float = 1e-5, running: Running | None = None
) -> tuple[Array, Saved]:
    """Return y (N, P, Q, C), and what `batch_norm_max_pool2d_backward` needs.

    x, gamma, beta, eps: as in `batch_norm_train`. running: takes in the batch.

    >>> import numpy as np
    >>> x, one = np.array([[1.0, 3.0], [1.0, 3.0]]).reshape(1, 2, 2, 1), np.ones(1)
    >>> batch_norm_max_pool2d_train(x, one, 0 * one, Pooling(2), eps=0.0)[0].ravel()
    array([1.])
    """
    check_images(x=x)
    batch_norm.check(x, gamma, beta, train=True)
    y, saved = _batch_norm_max_pool2d_train(x, gamma, beta, eps, pooling.window(x.shape), bool(pooling.relu), running)
    return y, _named(saved)


@composition
def _batch_norm_max_pool2d_train(
    x: Array, gamma: Array, beta: Array, eps: float, window: Window, relu: bool, running: Running | None
) -> tuple[Array, Saved]:
    v, _, _, saved = batch_norm_activation_train(x, gamma, beta, eps, running=running)
    y, index = max_pool2d(v, window.kernel, stride=window.stride, padding=window.pads, relu=relu)
    return y, Saved(saved.norm, beta, index, window)


def conv2d_batch_norm_max_pool2d_train(
    x: Array,
    w: Array,
    b: Array | None,
    norm: tuple[Array, Array, float],
    pooling: Pooling,
    running: Running | None = None,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> tuple[Array, Saved]:
    """Return what `batch_norm_max_pool2d_train` does of `conv2d`; norm: gamma, beta and eps.

    What is saved has the convolution's output as x. Gradients are those of both operations.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> x, w = np.array([1.0, 3.0]).reshape(1, 1, 2, 1), np.full((1, 1, 1, 1), 2.0)
    >>> y, saved = conv2d_batch_norm_max_pool2d_train(x, w, None, (one, one, 0.0), Pooling((1, 2)))
    >>> y.ravel(), saved.norm.x.ravel()
    (array([2.]), array([2., 6.]))
    """
    window = checked_window(x, w, b, stride, padding, dilation, groups)
    gamma, beta, _ = norm
    shape = len(x), *window.output, len(w)
    batch_norm.check(x, gamma, beta, train=True, shape=shape)
    pool = pooling.window(shape)
    y, saved = _conv2d_batch_norm_max_pool2d_train(x, w, b, norm, pool, bool(pooling.relu), running, window, groups)
    return y, _named(saved)


@composition
def _conv2d_batch_norm_max_pool2d_train(
    x: Array,
    w: Array,
    b: Array | None,
    norm: tuple[Array, Array, float],
    pool: Window,
    relu: bool,
    running: Running | None,
    window: Window,
    groups: int,
) -> tuple[Array, Saved]:
    v = conv2d(x, w, b, stride=window.stride, padding=window.pads, dilation=window.dilation, groups=groups)
    gamma, beta, eps = norm
    return batch_norm_max_pool2d_train(v, gamma, beta, Pooling(pool.kernel, pool.stride, pool.pads, relu), eps, running)


def batch_norm_max_pool2d_backward(dy: Array, saved: Saved) -> tuple[Array, Array, Array]:
    """Return dx (N, H, W, C), dgamma (C,) and dbeta (C,), given dy (N, P, Q, C) and what the forward pass saved."""
    check_images(dy=dy)
    if dy.shape != saved.chosen.shape:
        raise ShapeError(f"dy has shape {dy.shape}: it must be that of y, {saved.chosen.shape}")
    return _batch_norm_max_pool2d_backward(dy, saved)


@composition
def _batch_norm_max_pool2d_backward(dy: Array, saved: Saved) -> tuple[Array, Array, Array]:
    (x, *_), _, index, window = saved
    dv = max_pool2d_backward(dy, index, x.shape, window.kernel, stride=window.stride, padding=window.pads)
    return batch_norm.batch_norm_backward(dv, saved.norm)


def _named(saved: tuple[Any, ...]) -> Saved:
    """Return what a room saved, by the names of its parts."""
    return Saved(batch_norm.Saved(*saved[0]), *saved[1:])
