"""Dense layers' matrix products, cut into blocks of features: BLAS' own threads would give other bits for each number.

A block's share is as large as pays for waking a thread; small products are one block. Forward, where numba is
installed, compiled loops take batches that fill vectors.
"""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import require_float32, slices
from gpucnn.cpu.compiled import module
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run

BLOCK_PRODUCTS = 1 << 26
"""Multiplications of a block."""


def dense(x: Array, w: Array, b: Array | None) -> Array:
    """Return y (N, out) = x (N, in) times the transpose of w (out, in), plus b."""
    require_float32(x, w)
    loops = module("dense")
    if loops is not None and loops.suits(len(x), w.size):
        found: Array = loops.dense(contiguous(x), contiguous(w), b)
        return found
    y = _product(contiguous(x), contiguous(w).T)
    if b is not None:
        y += b
    return y


def dense_backward_data(dy: Array, w: Array) -> Array:
    """Return dx (N, in) = dy (N, out) times w (out, in)."""
    require_float32(dy, w)
    return _product(contiguous(dy), contiguous(w))


def dense_backward_weight(x: Array, dy: Array) -> Array:
    """Return dw (out, in) = the transpose of dy (N, out) times x (N, in)."""
    require_float32(x, dy)
    return _product(contiguous(dy).T, contiguous(x))


def _product(left: Array, right: Array) -> Array:
    """Return left (m, k) times right (k, n), by blocks of the longer side of the result."""
    (m, k), n = left.shape, right.shape[1]
    out = empty((m, n))
    if m >= n:
        blocks = slices(m, k * n, BLOCK_PRODUCTS)
        run(lambda i: np.matmul(left[blocks[i]], right, out=out[blocks[i]]), len(blocks))
    else:
        blocks = slices(n, k * m, BLOCK_PRODUCTS)
        run(lambda i: np.matmul(left, right[:, blocks[i]], out=out[:, blocks[i]]), len(blocks))
    return out
