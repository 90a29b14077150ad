"""A dense layer and the activation after it: y = f(x w^T + b).

Its gradients are those of `gpucnn.ops.dense`, given what `bias_activation_backward` makes of dy.
"""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import composition
from gpucnn.ops.activation import Function
from gpucnn.ops.dense import check, dense


def dense_activation(x: Array, w: Array, b: Array | None, function: Function) -> tuple[Array, tuple[Array, Array]]:
    """Return f of `dense`, and what `bias_activation_backward` needs.

    >>> import numpy as np
    >>> from gpucnn.ops.activation import RELU
    >>> dense_activation(np.array([[1.0]]), np.array([[2.0], [-3.0]]), None, RELU)[0]
    array([[2., 0.]])
    """
    check(x, w, b)
    return _dense_activation(x, w, b, function)


@composition
def _dense_activation(x: Array, w: Array, b: Array | None, function: Function) -> tuple[Array, tuple[Array, Array]]:
    v = dense(x, w, b)
    y = function.forward(v)
    return y, function.kept(v, y)
