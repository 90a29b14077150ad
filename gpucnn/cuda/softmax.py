"""Softmax and its logarithm by the kernels in softmax.cu: a warp a row."""

from __future__ import annotations

from typing import Any

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch

WARP = 32


def softmax(x: Array) -> Array:
    """Return exp(x_k) / sum_j exp(x_j) over the last axis."""
    return _by_rows("softmax_forward", x=x)


def softmax_backward(dy: Array, y: Array) -> Array:
    """Return dx, where y = softmax(x)."""
    return _by_rows("softmax_backward", dy=dy, y=y)


def log_softmax(x: Array) -> Array:
    """Return x_k - log sum_j exp(x_j) over the last axis."""
    return _by_rows("log_softmax_forward", x=x)


def log_softmax_backward(dy: Array, y: Array) -> Array:
    """Return dx, where y = log_softmax(x)."""
    return _by_rows("log_softmax_backward", dy=dy, y=y)


def _by_rows(kernel: str, **arrays: Array) -> Array:
    """Return what a kernel of softmax.cu makes of its arrays, which have one shape."""
    like = next(iter(arrays.values()))
    columns = like.shape[-1]
    rows = like.size // max(1, columns)
    out: Array = array_module(like).empty(like.shape, like.dtype)
    arguments: dict[str, Any] = {**arrays, "dx" if kernel.endswith("backward") else "y": out}
    launch(kernel, blocks(rows * WARP), **arguments, rows=rows, columns=columns)
    return out
