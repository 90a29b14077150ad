"""Infinities and NaNs, counted."""

from __future__ import annotations

import math

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation


@operation
def count_nonfinite(*arrays: Array) -> Array:
    """Return how many elements of all arrays are infinite or not a number, shape (1,), on the arrays' device.

    The sum of squares, one fast pass, is finite only if all elements are; where it is not, it may have overflowed,
    and the elements decide.

    >>> import numpy as np
    >>> count_nonfinite(np.full(3, 1e30, np.float32)), count_nonfinite(np.array([0.0, np.nan]), np.ones(2))
    (array([0]), array([1]))
    """
    xp = array_module(arrays[0])
    if math.isfinite(sum(float(xp.vdot(a, a)) for a in arrays)):
        total: Array = xp.zeros(1, int)
        return total
    counts: Array = xp.stack([a.size - xp.isfinite(a).sum() for a in arrays]).sum(keepdims=True)
    return counts
