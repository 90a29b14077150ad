"""Maxima of windows in blocks of images: of 2x2 by comparing neighbours, of any by compiled loops."""

from __future__ import annotations

import math

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.blocks import require_float32, slices
from gpucnn.cpu.compiled import module
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.dispatch import NotApplicable
from gpucnn.ops.window import Window

BLOCK_BYTES = 1 << 20
"""How large the images of a block are."""

FEWEST_CHANNELS = 32
"""With fewer, the runs of numbers that compiled loops meet in gradients of 2x2 windows are too short."""


def max_pool2d(x: Array, window: Window, relu: bool) -> tuple[Array, Array]:
    """Return y (N, P, Q, C) and the index (N, P, Q, C) of the first maximum, or relu of that."""
    require_float32(x)
    if loops := module("pool2d"):
        found: tuple[Array, Array] = loops.max_pool2d(x, window, relu)
        return found
    _require_pairs(window)
    x, (p, q), c = contiguous(x), window.output, x.shape[3]
    y, index = empty((len(x), p, q, c)), empty((len(x), p, q, c), np.uint8)
    blocks = _blocks(x.shape)

    def work(i: int) -> None:
        images = x[blocks[i], : 2 * p, : 2 * q]
        left, right = images[:, :, 0::2], images[:, :, 1::2]
        second, of_row = empty(left.shape, np.bool_), empty(left.shape)
        np.greater(right, left, out=second)
        np.maximum(left, right, out=of_row)
        top, bottom = of_row[:, 0::2], of_row[:, 1::2]
        lower = np.greater(bottom, top, out=empty(top.shape, np.bool_))
        best = np.maximum(top, bottom, out=y[blocks[i]])
        _choose(second.view(np.uint8), lower.view(np.uint8), index[blocks[i]])
        if relu:
            np.maximum(best, np.float32(0), out=best)
            nowhere = np.logical_not(np.greater(best, np.float32(0), out=lower), out=lower)
        else:
            nowhere = np.not_equal(best, best, out=lower)
        if nowhere.any():
            index[blocks[i]][nowhere] = 4

    run(work, len(blocks))
    return y, index


def max_pool2d_backward(dy: Array, index: Array, x_shape: Shape, window: Window) -> Array:
    """Return dx (N, H, W, C): dy where the maximum stood."""
    require_float32(dy)
    if (loops := module("pool2d")) and (dy.shape[3] >= FEWEST_CHANNELS or not _pairs(window)):
        found: Array = loops.max_pool2d_backward(dy, index, x_shape, window)
        return found
    _require_pairs(window)
    dy, index, dx, (p, q) = contiguous(dy), contiguous(index), empty(x_shape), window.output
    blocks = _blocks(x_shape)

    def work(i: int) -> None:
        gradients, chosen, images = dy[blocks[i]], index[blocks[i]], dx[blocks[i]]
        images[:, 2 * p :], images[:, :, 2 * q :] = 0, 0
        here = empty(gradients.shape, np.bool_)
        for tap, (r, s) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
            np.equal(chosen, np.uint8(tap), out=here)
            np.multiply(gradients, here, out=images[:, r : 2 * p : 2, s : 2 * q : 2])

    run(work, len(blocks))
    return dx


def _choose(second: Array, lower: Array, index: Array) -> None:
    """Write 2 r + s: s is that of row r, which is 1 where `lower`; in bytes, which wrap around where they must."""
    top, bottom = second[:, 0::2], second[:, 1::2]
    np.add(bottom, np.uint8(2), out=index)
    index -= top
    index *= lower
    index += top


def _require_pairs(window: Window) -> None:
    if not _pairs(window):
        raise NotApplicable("without numba, windows of 2x2 with stride 2 and no padding only")


def _pairs(window: Window) -> bool:
    return window.kernel == window.stride == (2, 2) and window.pads == ((0, 0), (0, 0))


def _blocks(x_shape: Shape) -> list[slice]:
    return slices(x_shape[0], 4 * math.prod(x_shape[1:]), BLOCK_BYTES)
