"""Convolution of images with kernels, and its gradients: what this project is about.

Notation: x (N, H, W, C) input, w (K, R, S, C/groups) kernels, b (K,) bias, y (N, P, Q, K) output; stride s, dilation d,
padding (top, left); dy, dx, dw, db are the gradients of a loss with respect to y, x, w, b.

    forward           y[n,p,q,k]  = b[k] + sum over r,s,c of  x[n, p*s + r*d - top, q*s + s*d - left, c] w[k,r,s,c]
    backward data    dx[n,h,w,c]  = sum over k,r,s, and the p,q that these meet, of  dy[n,p,q,k] w[k,r,s,c]
    backward weight  dw[k,r,s,c]  = sum over n,p,q of  dy[n,p,q,k] x[n, p*s + r*d - top, q*s + s*d - left, c]
    backward bias    db[k]        = sum over n,p,q of  dy[n,p,q,k]

(As everywhere in deep learning the forward pass is a correlation: the kernel is not turned.) All three are the same
few lines here: the inputs of each output are laid out as the row of a matrix, and one matrix product does the rest.
It is done for a few images at a time, so that the matrix stays in the cache.

Source: J. Bouvrie, "Notes on Convolutional Neural Networks", 2006; V. Dumoulin and F. Visin, "A guide to convolution
arithmetic for deep learning", arXiv:1603.07285.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpucnn.backend import Array, Shape, array_module
from gpucnn.dispatch import composition, operation, summing_operation
from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.ops.add import add
from gpucnn.ops.checks import check_images
from gpucnn.ops.phases import phases
from gpucnn.ops.sums import sum_rows
from gpucnn.ops.window import PaddingLike, PairLike, Window, pad

BLOCK_BYTES = 1 << 20
"""How large the matrix of patches of one block of images may be on a CPU: about its second-level cache."""

GPU_BLOCK_BYTES = 1 << 28
"""The same on a GPU, which wants large products: bounded only to bound memory."""


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> Array:
    """Return the convolution y (N, P, Q, K) of images x (N, H, W, C) with kernels w (K, R, S, C/groups).

    b: one number for each of the K outputs, or None. stride, dilation: n or (height, width). padding: n,
    (height, width), ((top, bottom), (left, right)), "same" (ceil(size / stride) outputs) or "valid" (none).
    groups: the channels and the kernels are cut into so many groups that do not see each other. float32 or float64, or
    float16 or bfloat16, which are stored alone: sums are float32's. Raises ShapeError or ArgumentError where shapes or
    dtypes do not fit.

    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> w = np.ones((1, 2, 2, 1))
    >>> conv2d(x, w)[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    return _conv2d(x, w, b, checked_window(x, w, b, stride, padding, dilation, groups), groups)


def checked_window(
    x: Array, w: Array, b: Array | None, stride: PairLike, padding: PaddingLike, dilation: PairLike, groups: int
) -> Window:
    """Return the window of `conv2d` of such arguments; raises where they do not fit."""
    check_images(x=x, w=w)
    window = _window(x.shape, w.shape, stride, padding, dilation, groups)
    if b is not None and (b.shape != w.shape[:1] or b.dtype != x.dtype):
        raise ShapeError(f"b has shape {b.shape} and dtype {b.dtype}: it must be ({w.shape[0]},) and {x.dtype}")
    return window


def conv2d_backward_data(
    dy: Array,
    w: Array,
    x_shape: Shape,
    z: Array | None = None,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> Array:
    """Return dx (N, H, W, C), given dy (N, P, Q, K), the kernels w and the input's shape. Arguments as in `conv2d`.

    z: an array such as dx, which is added to it: what another way hands back to the same input.
    With stride 1 this is the full correlation of dy with the kernel rotated by 180 degrees; `gpucnn.ops.phases` tells
    what it is with others.

    >>> dy = np.array([[1.0, 1.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
    >>> w = np.array([[0.2, 0.3], [0.5, 0.6]]).reshape(1, 2, 2, 1)
    >>> conv2d_backward_data(dy, w, (1, 3, 3, 1))[0, :, :, 0].round(2)
    array([[0.2, 0.5, 0.3],
           [0.9, 2.3, 1.5],
           [1. , 2.7, 1.8]])
    """
    check_images(dy=dy, w=w)
    window = _window(x_shape, w.shape, stride, padding, dilation, groups)
    _check_dy(dy, x_shape, w.shape, window)
    if z is None:
        return _conv2d_backward_data(dy, w, x_shape, window, groups)
    check_added(z, dy, x_shape)
    return _conv2d_backward_data_added(dy, w, z, window, groups)


def check_added(z: Array, dy: Array, x_shape: Shape) -> None:
    """Raise unless z can be added to a dx of `x_shape`."""
    check_images(dy=dy, z=z)
    if z.shape != tuple(x_shape):
        raise ShapeError(f"z has shape {z.shape}: to be added to dx it must be {tuple(x_shape)}")


@composition
def _conv2d_backward_data_added(dy: Array, w: Array, z: Array, window: Window, groups: int) -> Array:
    return add(_conv2d_backward_data(dy, w, z.shape, window, groups), z)


@operation
def _conv2d_backward_data(dy: Array, w: Array, x_shape: Shape, window: Window, groups: int) -> Array:
    dx: Array = array_module(dy).zeros(x_shape, dy.dtype)
    for rows, columns, kernels, dense in phases(w, dy.shape, window, groups):
        phase = _correlate(dy, kernels, None, dense, groups)
        if window.stride == (1, 1):
            return phase
        dx[:, rows, columns] = phase
    return dx


def conv2d_backward_weight(
    x: Array,
    dy: Array,
    w_shape: Shape,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> Array:
    """Return dw (K, R, S, C/groups): the correlation of the input x with dy; float32 where these are halves.

    Arguments as in `conv2d`.

    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> dy = np.array([-0.1, 0.2]).reshape(1, 1, 2, 1)
    >>> conv2d_backward_weight(x, dy, (1, 1, 2, 1)).ravel().round(2)
    array([0.3, 0.4])
    """
    check_images(x=x, dy=dy)
    window = _window(x.shape, w_shape, stride, padding, dilation, groups)
    _check_dy(dy, x.shape, w_shape, window)
    return _conv2d_backward_weight(x, dy, w_shape, window, groups)


@summing_operation
def _conv2d_backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window, groups: int) -> Array:
    xp, (k, r, s, depth) = array_module(x), w_shape
    if depth == 1 and groups > 1:
        return _depthwise_backward_weight(x, dy, window, groups)
    dw: Array = xp.zeros((groups, k // groups, r * s * depth), x.dtype)
    for block in _blocks(xp, x, window):
        columns = _columns(x[block], window, groups)
        rows = dy[block].reshape(columns.shape[1], groups, k // groups)
        dw += rows.transpose(1, 2, 0) @ columns
    return dw.reshape(w_shape)


def conv2d_backward_bias(dy: Array) -> Array:
    """Return db (K,): the sum of dy (N, P, Q, K) over images and positions; float32 for halves.

    >>> conv2d_backward_bias(np.ones((2, 3, 3, 1)))
    array([18.])
    """
    check_images(dy=dy)
    return sum_rows(dy)


def conv2d_output_shape(
    x_shape: Shape,
    w_shape: Shape,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> Shape:
    """Return (N, P, Q, K), the shape of `conv2d` of such arrays.

    >>> conv2d_output_shape((8, 28, 28, 1), (32, 5, 5, 1), stride=2, padding="same")
    (8, 14, 14, 32)
    """
    window = _window(x_shape, w_shape, stride, padding, dilation, groups)
    return x_shape[0], *window.output, w_shape[0]


@operation
def _conv2d(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> Array:
    return _correlate(x, w, b, window, groups)


def _correlate(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> Array:
    """Return the correlation of x with w over a window that is known to fit: the one product behind all of this."""
    xp, (k, _, _, depth) = array_module(x), w.shape
    y: Array = xp.empty((len(x), *window.output, k), x.dtype)
    if depth == 1 and groups > 1:
        _depthwise(x, w, window, groups, y)
        if b is not None:
            y += b
        return y
    matrix = w.reshape(groups, k // groups, -1).transpose(0, 2, 1)
    for block in _blocks(xp, x, window):
        columns = _columns(x[block], window, groups)
        rows = y[block].reshape(columns.shape[1], groups, k // groups)
        xp.matmul(columns, matrix, out=rows.transpose(1, 0, 2))
        if b is not None:
            rows += b.reshape(groups, k // groups)
    return y


def _columns(x: Array, window: Window, groups: int) -> Array:
    """Return the inputs of every output as rows: (groups, N*P*Q, R*S*C/groups), a copy where the windows need one."""
    patches = window.patches(pad(x, window.pads))
    n, p, q, r, s, channels = patches.shape
    grouped = patches.reshape(n, p, q, r, s, groups, channels // groups) if groups > 1 else patches[:, :, :, :, :, None]
    return grouped.transpose(5, 0, 1, 2, 3, 4, 6).reshape(groups, n * p * q, r * s * (channels // groups))


def _depthwise(x: Array, w: Array, window: Window, groups: int, y: Array) -> None:
    """Write the correlation where each channel has kernels of its own: a sum over taps, no matrix product to gain."""
    multiplier = w.shape[0] // groups
    kernels = w.reshape(groups, multiplier, *w.shape[1:3])
    y5 = y.reshape(*y.shape[:3], groups, multiplier)
    y5[...] = 0
    for block in _blocks(array_module(x), x, window):
        for r, s, view in window.taps(pad(x[block], window.pads)):
            y5[block] += view[..., None] * kernels[:, :, r, s]


def _depthwise_backward_weight(x: Array, dy: Array, window: Window, groups: int) -> Array:
    xp, multiplier = array_module(x), dy.shape[3] // groups
    dw: Array = xp.zeros((groups, multiplier, *window.kernel), x.dtype)
    for block in _blocks(xp, x, window):
        dy5 = dy[block].reshape(*dy[block].shape[:3], groups, multiplier)
        for r, s, view in window.taps(pad(x[block], window.pads)):
            product = (view[..., None] * dy5).reshape(dy[block].shape)
            dw[:, :, r, s] += sum_rows(product).reshape(groups, multiplier)
    return dw.reshape(groups * multiplier, *window.kernel, 1)


def _blocks(xp: Any, x: Array, window: Window) -> Iterator[slice]:
    """Yield slices of images whose patches together are about as large as a block may be; at least one image each."""
    patches = window.output[0] * window.output[1] * window.kernel[0] * window.kernel[1] * x.shape[3] * x.itemsize
    count = max(1, (BLOCK_BYTES if xp is np else GPU_BLOCK_BYTES) // max(1, patches))
    for start in range(0, len(x), count):
        yield slice(start, start + count)


def _window(x_shape: Any, w_shape: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Window:
    """Return the window of a convolution of such shapes; raises where they do not fit each other."""
    if len(x_shape) != 4 or len(w_shape) != 4:
        raise ShapeError(f"x {tuple(x_shape)} must be (N, H, W, C), w {tuple(w_shape)} must be (K, R, S, C/groups)")
    channels, kernels, depth = x_shape[3], w_shape[0], w_shape[3]
    if (
        type(groups) is bool
        or not isinstance(groups, (int, np.integer))
        or groups < 1
        or channels % groups
        or kernels % groups
    ):
        raise ArgumentError(
            f"groups (={groups!r}) must be a whole number from 1 that divides the channels in (={channels}) "
            f"and out (={kernels})"
        )
    if depth * groups != channels:
        raise ShapeError(
            f"w has shape {tuple(w_shape)}: with {channels} channels and groups={groups} its last size must be "
            f"{channels // groups}"
        )
    return Window.over(tuple(x_shape[1:3]), tuple(w_shape[1:3]), stride, padding, dilation)


def _check_dy(dy: Array, x_shape: Shape, w_shape: Shape, window: Window) -> None:
    expected = (x_shape[0], *window.output, w_shape[0])
    if dy.shape != expected:
        raise ShapeError(
            f"dy has shape {dy.shape}: for x {tuple(x_shape)} and w {tuple(w_shape)} it must be {expected}"
        )
