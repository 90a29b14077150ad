"""Dropout, chunk by chunk, in threads; the mask is that of `gpucnn.random`, bit for bit."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import over, require_float32
from gpucnn.cpu.compiled import module
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.dispatch import NotApplicable
from gpucnn.random import Stream


def dropout(x: Array, rate: float, stream: Stream, start: int) -> tuple[Array, Array]:
    """Return y = x mask, and the mask: 0 where stream.uniform(x.shape, start=start) < rate, else 1 / (1 - rate)."""
    require_float32(x)
    loops = module("dropout")
    if loops is None:
        raise NotApplicable("by compiled loops only")
    found: tuple[Array, Array] = loops.dropout(x, rate, stream, start)
    return found


def dropout_backward(dy: Array, mask: Array) -> Array:
    """Return dx = dy mask."""
    require_float32(dy, mask)
    dx = empty(dy.shape)
    given, kept, out = contiguous(dy).reshape(-1), contiguous(mask).reshape(-1), dx.reshape(-1)
    over(dx.size, lambda part: np.multiply(given[part], kept[part], out=out[part]))
    return dx
