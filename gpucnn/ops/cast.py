"""Numbers stored in a half precision, and read back: where a network's halves meet what is kept in float32.

narrowed   y = x scale, rounded once to the half        widened   y = x, in float32: nothing is lost
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import storing_operation
from gpucnn.halves import Copies, is_half


def narrowed(x: Array, dtype: Any, scale: Array | None = None) -> Array:
    """Return x times scale (1,) in `dtype`: x itself where there is nothing to do. scale: float32; None for 1.

    >>> narrowed(np.array([1 + 2.0**-12], np.float32), np.float16).tolist()
    [1.0]
    """
    if x.dtype == dtype and scale is None:
        return x
    y: Array = array_module(x).empty(x.shape, dtype)
    store([x], [y], scale)
    return y


def widened(x: Array) -> Array:
    """Return halves in float32, where they lose nothing; what is no half as it is."""
    return _widened(x) if is_half(x) else x


def store_copies(values: list[Array], copies: Copies) -> None:
    """Write values, float32, into their half copies, where they have one.

    >>> half = np.zeros(1, np.float16)
    >>> store_copies([np.ones(2), np.ones(1, np.float32)], [None, half])
    >>> half.tolist()
    [1.0]
    """
    if copies is None:
        return
    pairs = [(value, half) for value, half in zip(values, copies, strict=True) if half is not None]
    if pairs:
        store([value for value, _ in pairs], [half for _, half in pairs])


@storing_operation
def store(values: list[Array], stored: list[Array], scale: Array | None = None) -> None:
    """Write values, float32, times scale (1,), into the arrays of halves `stored`: lists with one array a parameter.

    What a half cannot hold is infinite in it.

    >>> half = np.zeros(2, np.float16)
    >>> store([np.array([1e-3, 7e4], np.float32)], [half])
    >>> half.tolist()
    [0.0010004043579101562, inf]
    """
    for value, half in zip(values, stored, strict=True):
        with np.errstate(over="ignore"):
            half[...] = value if scale is None else value * scale


@storing_operation
def _widened(x: Array) -> Array:
    return x.astype(np.float32)
