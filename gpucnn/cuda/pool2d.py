"""Pooling by the kernels in pool2d.cu. Arguments are those of `gpucnn.ops.pool2d` once they are checked.

Global average pooling is the mean over a window as large as the image.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from gpucnn.backend import Array, Shape, array_module
from gpucnn.cuda.geometry import Whole, Window, geometry
from gpucnn.cuda.launch import blocks, launch

Weight = Literal["sum", "mean", "mean_inside"]
"""By what a window's sum is multiplied: 1, 1 / (R*S), or 1 / (how many of its positions lie in the image)."""

_WEIGHTS = ("sum", "mean", "mean_inside")  # as the enumeration Weight of pool2d.cu


def max_pool2d(x: Array, window: Window, relu: bool) -> tuple[Array, Array]:
    """Return y (N, P, Q, C), or relu of it, and the index of each maximum, uint8 where R*S < 256, else int32."""
    xp, shape = array_module(x), (len(x), *window.output, x.shape[3])
    y: Array = xp.empty(shape, x.dtype)
    index: Array = xp.empty(shape, np.uint8 if window.kernel[0] * window.kernel[1] < 256 else np.int32)
    g = geometry(x.shape, x.shape[3], window)
    launch(f"max_pool2d_forward_{_width(index)}", blocks(y.size), x=x, y=y, index=index, g=g, relu=int(relu))
    return y, index


def max_pool2d_backward(dy: Array, index: Array, x_shape: Shape, window: Window) -> Array:
    """Return dx (N, H, W, C) for dy and the index that `max_pool2d` returned."""
    dx: Array = array_module(dy).empty(x_shape, dy.dtype)
    g = geometry(x_shape, x_shape[3], window)
    launch(f"max_pool2d_backward_{_width(index)}", blocks(dx.size), dy=dy, index=index, dx=dx, g=g)
    return dx


def sum_pool2d(x: Array, window: Window, weight: Weight = "sum") -> Array:
    """Return the weighted sum of each window, y (N, P, Q, C); padding counts as zero."""
    y: Array = array_module(x).empty((len(x), *window.output, x.shape[3]), x.dtype)
    g = geometry(x.shape, x.shape[3], window)
    launch("sum_pool2d_forward", blocks(y.size), x=x, y=y, g=g, weight=_WEIGHTS.index(weight))
    return y


def sum_pool2d_backward(dy: Array, x_shape: Shape, window: Window, weight: Weight = "sum") -> Array:
    """Return dx (N, H, W, C): each input gets the weighted dy of the windows it lies in."""
    dx: Array = array_module(dy).empty(x_shape, dy.dtype)
    g = geometry(x_shape, x_shape[3], window)
    launch("sum_pool2d_backward", blocks(dx.size), dy=dy, dx=dx, g=g, weight=_WEIGHTS.index(weight))
    return dx


def global_avg_pool2d(x: Array) -> Array:
    """Return the mean of each channel of each image, (N, C)."""
    n, h, w, c = x.shape
    return sum_pool2d(x, Whole((h, w)), "mean").reshape(n, c)


def global_avg_pool2d_backward(dy: Array, x_shape: Shape) -> Array:
    """Return dx (N, H, W, C) for dy (N, C)."""
    _, h, w, _ = x_shape
    return sum_pool2d_backward(dy[:, None, None, :], x_shape, Whole((h, w)), "mean")


def _width(index: Array) -> str:
    return "byte" if index.dtype == np.uint8 else "int"
