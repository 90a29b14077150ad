"""Activations in chunks, in threads: the same arithmetic as the reference, and the same bits."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import over, require_float32
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    require_float32(x)
    x, y = contiguous(x), empty(x.shape)
    given, result = x.reshape(-1), y.reshape(-1)
    over(x.size, lambda part: np.maximum(given[part], np.float32(0), out=result[part]))
    return y


def relu_backward(dy: Array, x: Array, y: Array) -> Array:
    """Return dy where y > 0, else 0."""
    require_float32(dy, y)
    dx = empty(dy.shape)
    given, seen, result = contiguous(dy).reshape(-1), contiguous(y).reshape(-1), dx.reshape(-1)

    def work(part: slice) -> None:
        positive = np.greater(seen[part], np.float32(0), out=empty((part.stop - part.start,), np.bool_))
        np.multiply(given[part], positive, out=result[part])

    over(dx.size, work)
    return dx


def tanh(x: Array) -> Array:
    """Return tanh x."""
    require_float32(x)
    x, y = contiguous(x), empty(x.shape)
    given, result = x.reshape(-1), y.reshape(-1)
    over(x.size, lambda part: np.tanh(given[part], out=result[part]), chunk=1 << 14)
    return y
