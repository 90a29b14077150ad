"""All gradients of a dense layer at once, where that is to be had: dy is read once for all of them."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import composition
from gpucnn.errors import ShapeError
from gpucnn.ops.activation import Function
from gpucnn.ops.dense import check


def dense_gradients(
    x: Array, dy: Array, w: Array, bias: bool, function: Function | None = None, kept: tuple[Array, Array] | None = None
) -> tuple[Array, Array, Array | None] | None:
    """Return dx, dw and db, if there is a bias, of y = f(x w^T + b), given dy: those of `gpucnn.ops.dense`.

    function, kept: f, and what its forward pass kept; None where there is none. None is returned where computing them
    together is not possible, or no gain: then each is asked for by itself.

    >>> import numpy as np
    >>> ones = np.ones((2, 2))
    >>> dense_gradients(ones, ones, ones, bias=True) is None
    True
    """
    check(x, w, None)
    if dy.shape != (len(x), len(w)) or dy.dtype != x.dtype:
        raise ShapeError(f"dy has shape {dy.shape} and dtype {dy.dtype}: it must be {(len(x), len(w))} and {x.dtype}")
    return _dense_gradients(x, dy, w, bias, function, kept)


@composition
def _dense_gradients(
    x: Array, dy: Array, w: Array, bias: bool, function: Function | None, kept: tuple[Array, Array] | None
) -> tuple[Array, Array, Array | None] | None:
    return None
