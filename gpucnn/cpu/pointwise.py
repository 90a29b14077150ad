"""Convolution with 1x1 kernels, stride 1 and no padding: a matrix product of all positions, nothing to copy."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu import patches
from gpucnn.cpu.blocks import slices, summed
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.ops.window import Window

BLOCK_BYTES = 1 << 20
"""How much of x and y a block is."""


def suits(window: Window) -> bool:
    """Return whether such a window sees one position each."""
    return window.kernel == (1, 1) and window.stride == (1, 1) and window.pads == ((0, 0), (0, 0))


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array) -> None:
    """Write x (N, H, W, C) times the transpose of w (K, 1, 1, C) to y (N, H, W, K), plus b (K,)."""
    if not y.flags.c_contiguous:
        patches.forward(x, w, b, window, y)
        return
    rows, kernels, out = x.reshape(-1, x.shape[3]), patches.transposed(w), y.reshape(-1, len(w))
    blocks = _blocks(rows, len(w))

    def work(i: int) -> None:
        np.matmul(rows[blocks[i]], kernels, out=out[blocks[i]])
        if b is not None:
            out[blocks[i]] += b

    run(work, len(blocks))


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (K, 1, 1, C) = the transpose of dy (N, H, W, K) times x (N, H, W, C)."""
    rows, dys = x.reshape(-1, x.shape[3]), dy.reshape(-1, dy.shape[3])
    blocks = _blocks(rows, dy.shape[3])

    def add(i: int, total: Array) -> None:
        total += np.matmul(dys[blocks[i]].T, rows[blocks[i]], out=empty(total.shape))

    return summed(add, len(blocks), (dys.shape[1], rows.shape[1])).reshape(w_shape)


def _blocks(rows: Array, kernels: int) -> list[slice]:
    return slices(len(rows), 4 * (rows.shape[1] + kernels), BLOCK_BYTES)
