"""Infinities and NaNs counted by the kernel in finite.cu."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch


def count_nonfinite(*arrays: Array) -> Array:
    """Return how many elements of all arrays are infinite or not a number: int32, shape (1,), left on the device."""
    total: Array = array_module(arrays[0]).zeros(1, np.int32)
    for x in arrays:
        launch("count_nonfinite", blocks(x.size), x=x, total=total, count=x.size)
    return total
