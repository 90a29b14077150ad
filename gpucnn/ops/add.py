"""The sum of two arrays of one shape: what joins the two ways of a residual block."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import operation


@operation
def add(a: Array, b: Array) -> Array:
    """Return a + b.

    >>> import numpy as np
    >>> add(np.ones(2), np.ones(2))
    array([2., 2.])
    """
    return a + b
