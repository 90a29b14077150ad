"""Convolution as one matrix product a block of images: the inputs of every output are the row of a matrix.

For the few channels of a network's first layer (`FEW`) the matrix is laid out by taps, (R*S*C, P*Q) for each image:
copies then run along rows of the image, where they would be as short as the channels are few.
"""

from __future__ import annotations

import math

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.blocks import slices, summed
from gpucnn.cpu.images import padded, planes, strided
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.ops.window import Window

FEW = 4
"""Up to how many channels the matrix is laid out by taps."""

BLOCK_BYTES = 1 << 20
"""How large the matrix of a block is: about a second-level cache."""


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array) -> None:
    """Write the correlation of x (N, H, W, C) with w (K, R, S, C) to y (N, P, Q, K), plus b (K,)."""
    taps = by_taps(w.shape)
    kernels = transposed(w)
    blocks = _blocks(len(x), w.shape, window)

    def work(i: int) -> None:
        seen, columns = y[blocks[i]], _columns(x[blocks[i]], window, taps)
        rows = seen.reshape(len(seen), -1, len(w)) if seen.flags.c_contiguous else empty((*columns.shape[:2], len(w)))
        np.matmul(columns, kernels, out=rows)
        if b is not None:
            rows += b
        if not seen.flags.c_contiguous:
            seen[...] = rows.reshape(seen.shape)

    run(work, len(blocks))


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (K, R, S, C), the correlation of x with dy (N, P, Q, K)."""
    (k, r, s, c), taps = w_shape, by_taps(w_shape)
    blocks = _blocks(len(x), w_shape, window)

    def add(i: int, total: Array) -> None:
        columns = _columns(x[blocks[i]], window, taps)
        rows = dy[blocks[i]].reshape(*columns.shape[:2], k)
        if taps:
            each = np.matmul(columns.transpose(0, 2, 1), rows, out=empty((len(rows), r * s * c, k)))
            total += np.add.reduce(each, axis=0)
        else:
            total += np.matmul(rows.reshape(-1, k).T, columns.reshape(-1, r * s * c), out=empty((k, r * s * c)))

    if not taps:
        return summed(add, len(blocks), (k, r * s * c)).reshape(w_shape)
    dw = summed(add, len(blocks), (r * s * c, k)).reshape(r, s, c, k)
    return np.ascontiguousarray(dw.transpose(3, 0, 1, 2))


def by_taps(w_shape: Shape) -> bool:
    """Return whether the matrix is laid out by taps."""
    return w_shape[3] <= FEW and w_shape[1] * w_shape[2] > 1


def transposed(w: Array) -> Array:
    """Return kernels as the matrix (R*S*C, K)."""
    kernels = empty((math.prod(w.shape[1:]), len(w)))
    kernels[...] = w.reshape(len(w), -1).T
    return kernels


def _columns(x: Array, window: Window, taps: bool) -> Array:
    """Return the inputs of every output, (n, P*Q, R*S*C): a view of (n, R*S*C, P*Q) where it is laid out by taps."""
    (n, c), (p, q), (r, s) = (len(x), x.shape[3]), window.output, window.kernel
    if not taps:
        columns = empty((n, p * q, r * s * c))
        columns.reshape(n, p, q, r, s, c)[...] = window.patches(padded(x, window))
        return columns
    source, (sh, sw), (dh, dw) = planes(x, window), window.stride, window.dilation
    columns = empty((n, r * s * c, p * q))
    _, _, h, line = source.shape
    strides = (c * h * line, dh * line, dw, h * line, sh * line, sw)
    columns.reshape(n, r, s, c, p, q)[...] = strided(source, (n, r, s, c, p, q), strides)
    return columns.transpose(0, 2, 1)


def _blocks(count: int, w_shape: Shape, window: Window) -> list[slice]:
    return slices(count, 4 * math.prod(w_shape[1:]) * math.prod(window.output), BLOCK_BYTES)
