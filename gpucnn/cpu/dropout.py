"""Dropout, chunk by chunk, in threads; the elements kept are those of `gpucnn.random`."""

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
    """Return y, and which elements are kept: 0 where stream.uniform(x.shape, start=start) < rate, else 1."""
    require_float32(x)
    loops = module("dropout")
    if loops is None:
        raise NotApplicable("by compiled loops only")
    found: tuple[Array, Array] = loops.dropout(x, rate, stream, start)
    return found


def dropout_backward(dy: Array, kept: Array, rate: float) -> Array:
    """Return dx: dy / (1 - rate) where elements were kept, else 0."""
    require_float32(dy)
    dx, scale = empty(dy.shape), np.float32(1 / (1 - rate))
    given, chosen, out = contiguous(dy).reshape(-1), contiguous(kept).reshape(-1), dx.reshape(-1)

    def work(part: slice) -> None:
        factors = np.multiply(chosen[part], scale, out=empty((part.stop - part.start,)))
        np.multiply(given[part], factors, out=out[part])

    over(dx.size, work)
    return dx
