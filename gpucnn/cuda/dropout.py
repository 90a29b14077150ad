"""Dropout by the kernels in dropout.cu: the mask is that of `gpucnn.random`, bit for bit."""

from __future__ import annotations

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.random import Stream


def dropout(x: Array, rate: float, stream: Stream, start: int) -> tuple[Array, Array]:
    """Return y = x mask, and the mask: 0 where stream.uniform(x.shape, start=start) < rate, else 1 / (1 - rate)."""
    xp = array_module(x)
    y, mask = xp.empty(x.shape, x.dtype), xp.empty(x.shape, x.dtype)
    fours = -(-(start % 4 + x.size) // 4)
    launch(
        "dropout_forward", blocks(fours), x=x, y=y, mask=mask, count=x.size, rate=rate, scale=1 / (1 - rate),
        seed_low=stream.seed & 0xFFFFFFFF, seed_high=stream.seed >> 32 & 0xFFFFFFFF, step=stream.step,
        purpose=stream.number, start=start, now=stream.now,
    )  # fmt: skip
    return y, mask


def dropout_backward(dy: Array, mask: Array) -> Array:
    """Return dx = dy mask."""
    dx: Array = array_module(dy).empty(dy.shape, dy.dtype)
    launch("dropout_backward", blocks(dy.size), dy=dy, mask=mask, dx=dx, count=dy.size)
    return dx
