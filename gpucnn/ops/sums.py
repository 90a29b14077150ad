"""Sums over all axes but the last; and when the sums of gradients are taken, where they are taken in parts.

`later` and `together` are for a GPU alone: elsewhere no sum waits.
"""

from __future__ import annotations

import math

from gpucnn.backend import Array, array_module
from gpucnn.cuda.sums import later, together
from gpucnn.dispatch import summing_operation

__all__ = ["later", "sum_rows", "together"]


@summing_operation
def sum_rows(x: Array) -> Array:
    """Return the sum of x (N, ..., C) over all axes but the last, shape (C,); float32 for halves.

    Summed for each image first and then over images: as fast as the matrix product that it is, and with two short
    sums in place of a long one, so that float32 loses little (the error grows with the longer of the two).
    """
    xp = array_module(x)
    if x.ndim == 2:
        total: Array = xp.ones(len(x), x.dtype) @ x
        return total
    positions = math.prod(x.shape[1:-1])
    images = xp.ones((1, positions), x.dtype) @ x.reshape(len(x), positions, x.shape[-1])
    return sum_rows(images[:, 0])
