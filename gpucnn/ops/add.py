"""The sum of two arrays of one shape, and its activation: what joins the two ways of a residual block."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import composition, operation
from gpucnn.ops.activation import Function


@operation
def add(a: Array, b: Array) -> Array:
    """Return a + b.

    >>> import numpy as np
    >>> add(np.ones(2), np.ones(2))
    array([2., 2.])
    """
    return a + b


@composition
def add_activation(a: Array, b: Array, function: Function | None) -> tuple[Array, tuple[Array, Array] | None]:
    """Return f(a + b), and what `add_activation_backward` needs; without f, a + b and None.

    >>> import numpy as np
    >>> from gpucnn.ops.activation import RELU
    >>> add_activation(np.ones(2), np.array([1.0, -2.0]), RELU)[0]
    array([2., 0.])
    """
    y = add(a, b)
    if function is None:
        return y, None
    before, y = y, function.forward(y)
    return y, function.kept(before, y)


def add_activation_backward(dy: Array, function: Function | None, kept: tuple[Array, Array] | None) -> Array:
    """Return what dy is behind the activation: the gradient of a and of b."""
    return dy if function is None or kept is None else function.backward(dy, kept)
