"""Dropout by the kernels in dropout.cu: the elements kept are those of `gpucnn.random`."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.random import Stream


def dropout(x: Array, rate: float, stream: Stream, start: int) -> tuple[Array, Array]:
    """Return y, and which elements are kept: 0 where stream.uniform(x.shape, start=start) < rate, else 1."""
    xp = array_module(x)
    y, kept = xp.empty(x.shape, x.dtype), xp.empty(x.shape, np.uint8)
    fours = -(-(start % 4 + x.size) // 4)
    launch(
        "dropout_forward", blocks(fours), x=x, y=y, kept=kept, count=x.size, rate=rate, scale=1 / (1 - rate),
        seed_low=stream.seed & 0xFFFFFFFF, seed_high=stream.seed >> 32 & 0xFFFFFFFF, step=stream.step,
        purpose=stream.number, start=start, now=stream.now,
    )  # fmt: skip
    return y, kept


def dropout_backward(dy: Array, kept: Array, rate: float) -> Array:
    """Return dx: dy / (1 - rate) where elements were kept, else 0."""
    dx: Array = array_module(dy).empty(dy.shape, dy.dtype)
    launch("dropout_backward", blocks(dy.size), dy=dy, kept=kept, dx=dx, count=dy.size, scale=1 / (1 - rate))
    return dx
