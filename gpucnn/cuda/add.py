"""Sums of two arrays by the kernel in add.cu, which may end with an activation."""

from __future__ import annotations

from gpucnn.backend import Array, array_module
from gpucnn.cuda.activation import Named, end_of, tells_by_output
from gpucnn.cuda.launch import blocks, launch
from gpucnn.dispatch import NotApplicable


def add(a: Array, b: Array) -> Array:
    """Return a + b, two arrays of one shape."""
    return _ended(a, b, None)


def add_activation(a: Array, b: Array, function: Named | None) -> tuple[Array, tuple[Array, Array] | None]:
    """Return f(a + b), and it again for the backward pass."""
    if function is None:
        return _ended(a, b, None), None
    if not tells_by_output(function):
        raise NotApplicable("the derivative needs a + b")
    y = _ended(a, b, function)
    return y, (y, y)


def _ended(a: Array, b: Array, function: Named | None) -> Array:
    y: Array = array_module(a).empty(a.shape, a.dtype)
    launch("add", blocks(y.size), left=a, right=b, y=y, count=y.size, **end_of(function))
    return y
