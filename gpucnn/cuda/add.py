"""Sums of two arrays by the kernel in add.cu."""

from __future__ import annotations

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch


def add(a: Array, b: Array) -> Array:
    """Return a + b, two arrays of one shape."""
    y: Array = array_module(a).empty(a.shape, a.dtype)
    launch("add", blocks(y.size), a=a, b=b, y=y, count=y.size)
    return y
