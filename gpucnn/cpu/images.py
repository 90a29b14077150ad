"""Copies of blocks of images, with padding, in the layouts that convolutions are computed in."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.memory import empty
from gpucnn.ops.window import Window


def contiguous(x: Array) -> Array:
    """Return x in C order: itself where it is."""
    if x.flags.c_contiguous:
        return x
    copy = empty(x.shape, x.dtype)
    copy[...] = x
    return copy


def place(x: Array, out: Array, top: int, left: int) -> None:
    """Write images x (n, H, W, C) into out (n, H', W', C), first row at `top` and column at `left`; zeros elsewhere.

    What would lie outside is left out: top and left may be negative, and H', W' smaller than the images.
    """
    rows, columns = _inside(top, x.shape[1], out.shape[1]), _inside(left, x.shape[2], out.shape[2])
    out[:, : rows.start], out[:, rows.stop :] = 0, 0
    out[:, rows, : columns.start], out[:, rows, columns.stop :] = 0, 0
    out[:, rows, columns] = x[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def padded(x: Array, window: Window) -> Array:
    """Return images with the window's padding around them; a view of x where there is none."""
    (top, bottom), (left, right) = window.pads
    if not (top or bottom or left or right):
        return x
    out = empty((len(x), x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3]))
    place(x, out, top, left)
    return out


def planes(x: Array, window: Window) -> Array:
    """Return images (n, H, W, C) with the window's padding as (n, C, H', W')."""
    (top, bottom), (left, right) = window.pads
    out = empty((len(x), x.shape[3], x.shape[1] + top + bottom, x.shape[2] + left + right))
    place(x, out.transpose(0, 2, 3, 1), top, left)
    return out


def strided(x: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """Return a view of the numbers of x, which is contiguous, in this shape; strides count numbers."""
    view: Array = np.ndarray(shape, x.dtype, x, 0, tuple(x.itemsize * s for s in strides))
    return view


def _inside(before: int, length: int, size: int) -> slice:
    """Return where in `size` places the image lies that begins `before` places after the first."""
    start = min(max(before, 0), size)
    return slice(start, max(start, min(size, before + length)))
