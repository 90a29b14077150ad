"""Infinities and NaNs counted by the kernel in finite.cu, in all arrays by one launch."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.chunks import chunk_table
from gpucnn.cuda.launch import launch


def count_nonfinite(*arrays: Array) -> Array:
    """Return how many elements of all arrays are infinite or not a number: int32, shape (1,), left on the device."""
    total: Array = array_module(arrays[0]).zeros(1, np.int32)
    chunks = chunk_table(arrays, [False] * len(arrays))
    launch("count_nonfinite", (len(chunks),), arrays=list(arrays), total=total, chunks=chunks)
    return total
