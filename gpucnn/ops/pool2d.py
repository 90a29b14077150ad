"""Pooling: the maximum, mean or sum of each window of an image, and how a gradient goes back through it.

x (N, H, W, C), y (N, P, Q, C), windows as in `gpucnn.ops.window`: stride defaults to the kernel size, windows may
overlap, and padding is smaller than the kernel, so that every window sees some of the image.

    maximum   y = max of the window   dx: dy goes to the element that was the maximum, the first one where several are
    mean      y = sum / count         dx: dy / count goes to every element of the window ("up-sampling" of delta)
    sum       y = sum                 dx: dy goes to every element of the window

Where windows overlap, gradients add up.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from gpucnn.backend import Array, Shape, array_module
from gpucnn.dispatch import operation
from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.ops.checks import check_dtypes, check_images
from gpucnn.ops.window import PaddingLike, PairLike, Window, pad, unpad

Weight = Literal["sum", "mean", "mean_inside"]
"""By what a window's sum is multiplied: 1, 1 / (R*S), or 1 / (how many of its positions lie in the image)."""


def max_pool2d(
    x: Array, kernel_size: PairLike, *, stride: PairLike | None = None, padding: PaddingLike = 0, relu: bool = False
) -> tuple[Array, Array]:
    """Return the maximum of each window, y (N, P, Q, C), and where in its window it stood, index (N, P, Q, C).

    index: r*S + s of the first maximum; uint8 where R*S < 256, else int32. Padding never is the maximum. A window with
    a NaN gives NaN, with an index of R*S: its gradient goes nowhere.

    relu: return max(y, 0), which is the maximum of relu(x) as well; and R*S for windows without a positive number, so
    that `max_pool2d_backward` goes back through both.

    >>> x = np.array([[1.0, 7.0], [7.0, 2.0]]).reshape(1, 2, 2, 1)
    >>> y, index = max_pool2d(x, 2)
    >>> y.item(), index.item()
    (7.0, 1)
    >>> y, index = max_pool2d(-x, 2, relu=True)
    >>> y.item(), index.item()
    (0.0, 4)
    """
    check_images(x=x)
    return _max_pool2d(x, pool_window(x.shape, kernel_size, stride, padding), relu)


@operation
def _max_pool2d(x: Array, window: Window, relu: bool) -> tuple[Array, Array]:
    xp, padded, taps = array_module(x), pad(x, window.pads, -np.inf), window.kernel[0] * window.kernel[1]
    y: Array = xp.empty((len(x), *window.output, x.shape[3]), x.dtype)
    for r, s, view in window.taps(padded):
        if r == s == 0:
            y[...] = view
        else:
            xp.maximum(y, view, out=y)
    index_type = xp.uint8 if taps < 256 else xp.int32
    # Each tap that holds the maximum votes with taps - tap, so that the largest vote is the first maximum's:
    # arithmetic on bytes is several times faster than a masked assignment.
    votes: Array = xp.zeros(y.shape, index_type)
    unequal = pad(x, window.pads, np.nan)  # so that padding never votes, not even in a window of minus infinities
    for r, s, view in window.taps(unequal):
        vote = (view == y).view(xp.uint8).astype(index_type, copy=False)
        xp.maximum(votes, vote * index_type(taps - r * window.kernel[1] - s), out=votes)
    if relu:
        xp.maximum(y, x.dtype.type(0), out=y)
        votes[~(y > 0)] = 0
    return y, index_type(taps) - votes


def max_pool2d_backward(
    dy: Array,
    index: Array,
    x_shape: Shape,
    kernel_size: PairLike,
    *,
    stride: PairLike | None = None,
    padding: PaddingLike = 0,
) -> Array:
    """Return dx (N, H, W, C), given dy (N, P, Q, C) and the index that `max_pool2d` returned.

    >>> max_pool2d_backward(np.full((1, 1, 1, 1), 5.0), np.full((1, 1, 1, 1), 2, np.uint8), (1, 2, 2, 1), 2)[0, :, :, 0]
    array([[0., 0.],
           [5., 0.]])
    """
    window = pool_window(x_shape, kernel_size, stride, padding)
    check_images(dy=dy)
    _check_dy(dy, x_shape, window)
    if index.shape != dy.shape:
        raise ShapeError(f"index has shape {index.shape}: it must be that of dy, {dy.shape}")
    return _max_pool2d_backward(dy, index, x_shape, window)


@operation
def _max_pool2d_backward(dy: Array, index: Array, x_shape: Shape, window: Window) -> Array:
    dx = _padded_zeros(dy, window)
    for r, s, view in window.taps(dx):
        chosen = index == r * window.kernel[1] + s
        if window.overlaps:
            view += dy * chosen
        else:
            array_module(dy).multiply(dy, chosen, out=view)
    return unpad(dx, window.pads)


def sum_pool2d(x: Array, kernel_size: PairLike, *, stride: PairLike | None = None, padding: PaddingLike = 0) -> Array:
    """Return the sum of each window, y (N, P, Q, C); padding counts as zero.

    >>> sum_pool2d(np.ones((1, 4, 4, 1)), 2).ravel()
    array([4., 4., 4., 4.])
    """
    check_images(x=x)
    return _sum_pool2d(x, pool_window(x.shape, kernel_size, stride, padding), "sum")


def sum_pool2d_backward(
    dy: Array, x_shape: Shape, kernel_size: PairLike, *, stride: PairLike | None = None, padding: PaddingLike = 0
) -> Array:
    """Return dx (N, H, W, C): each input gets the sum of the dy of the windows it lies in.

    >>> sum_pool2d_backward(np.ones((1, 1, 2, 1)), (1, 1, 3, 1), (1, 2), stride=1).ravel()
    array([1., 2., 1.])
    """
    window = pool_window(x_shape, kernel_size, stride, padding)
    check_images(dy=dy)
    _check_dy(dy, x_shape, window)
    return _sum_pool2d_backward(dy, x_shape, window, "sum")


def avg_pool2d(
    x: Array,
    kernel_size: PairLike,
    *,
    stride: PairLike | None = None,
    padding: PaddingLike = 0,
    count_include_pad: bool = True,
) -> Array:
    """Return the mean of each window, y (N, P, Q, C): over all R*S positions, or over those inside the image only.

    >>> avg_pool2d(np.arange(4.0).reshape(1, 2, 2, 1), 2).item()
    1.5
    """
    check_images(x=x)
    window = pool_window(x.shape, kernel_size, stride, padding)
    return _sum_pool2d(x, window, "mean" if count_include_pad else "mean_inside")


def avg_pool2d_backward(
    dy: Array,
    x_shape: Shape,
    kernel_size: PairLike,
    *,
    stride: PairLike | None = None,
    padding: PaddingLike = 0,
    count_include_pad: bool = True,
) -> Array:
    """Return dx (N, H, W, C): each dy, divided by its window's count, goes to every input of the window.

    >>> avg_pool2d_backward(np.full((1, 1, 1, 1), 8.0), (1, 2, 2, 1), 2).ravel()
    array([2., 2., 2., 2.])
    """
    check_images(dy=dy)
    window = pool_window(x_shape, kernel_size, stride, padding)
    _check_dy(dy, x_shape, window)
    return _sum_pool2d_backward(dy, x_shape, window, "mean" if count_include_pad else "mean_inside")


@operation
def _sum_pool2d(x: Array, window: Window, weight: Weight) -> Array:
    y: Array = array_module(x).zeros((len(x), *window.output, x.shape[3]), x.dtype)
    for _, _, view in window.taps(pad(x, window.pads)):
        y += view
    if weight != "sum":
        y *= _weights(x, window, weight)
    return y


@operation
def _sum_pool2d_backward(dy: Array, x_shape: Shape, window: Window, weight: Weight) -> Array:
    if weight != "sum":
        dy = dy * _weights(dy, window, weight)
    dx = _padded_zeros(dy, window)
    for _, _, view in window.taps(dx):
        view += dy
    return unpad(dx, window.pads)


def global_avg_pool2d(x: Array) -> Array:
    """Return the mean of each channel of each image: x (N, H, W, C) to y (N, C).

    >>> global_avg_pool2d(np.arange(4.0).reshape(1, 2, 2, 1))
    array([[1.5]])
    """
    check_images(x=x)
    return _global_avg_pool2d(x)


@operation
def _global_avg_pool2d(x: Array) -> Array:
    mean: Array = x.mean(axis=(1, 2))
    return mean


def global_avg_pool2d_backward(dy: Array, x_shape: Shape) -> Array:
    """Return dx (N, H, W, C): dy (N, C) / (H*W) at every position.

    >>> global_avg_pool2d_backward(np.array([[6.0]]), (1, 2, 3, 1)).ravel()
    array([1., 1., 1., 1., 1., 1.])
    """
    check_dtypes(dy=dy)
    n, _, _, c = x_shape
    if dy.shape != (n, c):
        raise ShapeError(f"dy has shape {dy.shape}: for x {tuple(x_shape)} it must be {(n, c)}")
    return _global_avg_pool2d_backward(dy, x_shape)


@operation
def _global_avg_pool2d_backward(dy: Array, x_shape: Shape) -> Array:
    dx: Array = array_module(dy).empty(x_shape, dy.dtype)
    dx[...] = (dy / (x_shape[1] * x_shape[2]))[:, None, None, :]
    return dx


def pool2d_output_shape(
    x_shape: Shape, kernel_size: PairLike, *, stride: PairLike | None = None, padding: PaddingLike = 0
) -> Shape:
    """Return (N, P, Q, C), the shape of any pooling of x (N, H, W, C).

    >>> pool2d_output_shape((8, 28, 28, 3), 3, stride=2, padding=1)
    (8, 14, 14, 3)
    """
    window = pool_window(x_shape, kernel_size, stride, padding)
    return x_shape[0], *window.output, x_shape[3]


def pool_window(x_shape: Shape, kernel_size: PairLike, stride: PairLike | None, padding: PaddingLike) -> Window:
    """Return the geometry of pooling over x (N, H, W, C); raises where it does not fit."""
    if len(x_shape) != 4:
        raise ShapeError(f"x has shape {tuple(x_shape)}: it must be (N, H, W, C)")
    window = Window.over(tuple(x_shape[1:3]), kernel_size, kernel_size if stride is None else stride, padding)  # type: ignore[arg-type]
    if any(max(sides) >= size for sides, size in zip(window.pads, window.kernel, strict=True)):
        raise ArgumentError(
            f"padding (={padding!r}) must be smaller than kernel_size (={kernel_size!r}): "
            "a window must see some of the image"
        )
    return window


def _weights(like: Array, window: Window, weight: Weight) -> Array:
    """Return 1 / count for each window, (1, P, Q, 1) in the dtype of `like`; (1, 1, 1, 1) where all are equal."""
    if weight == "mean" or window.pads == ((0, 0), (0, 0)):
        counts = np.full((1, 1), window.kernel[0] * window.kernel[1])
    else:
        rows, columns = (_inside(window, axis) for axis in (0, 1))
        counts = np.outer(rows, columns)
    weights: Array = array_module(like).asarray((1.0 / counts)[None, :, :, None], dtype=like.dtype)
    return weights


def _inside(window: Window, axis: int) -> Array:
    """Return for each output along one direction how many of its window's positions lie inside the image."""
    start = np.arange(window.output[axis]) * window.stride[axis] - window.pads[axis][0]
    return np.minimum(start + window.kernel[axis], window.input[axis]) - np.maximum(start, 0)


def _padded_zeros(dy: Array, window: Window) -> Array:
    (top, bottom), (left, right) = window.pads
    shape = (len(dy), window.input[0] + top + bottom, window.input[1] + left + right, dy.shape[3])
    zeros: Array = array_module(dy).zeros(shape, dy.dtype)
    return zeros


def _check_dy(dy: Array, x_shape: Shape, window: Window) -> None:
    expected = (x_shape[0], *window.output, x_shape[3])
    if dy.shape != expected:
        raise ShapeError(f"dy has shape {dy.shape}: for x {tuple(x_shape)} it must be {expected}")
