"""What stands between dy and a product's gradients where y = f(v + b): g = dy f', and db = sum of g over its rows."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import composition
from gpucnn.ops.activation import Function
from gpucnn.ops.checks import check_dtypes
from gpucnn.ops.sums import sum_rows


def bias_activation_backward(
    dy: Array, kept: tuple[Array, Array], function: Function, bias: bool
) -> tuple[Array, Array | None]:
    """Return g, and db (C,) if there is a bias. dy: (N, ..., C); kept: what the forward pass of f kept.

    >>> import numpy as np
    >>> from gpucnn.ops.activation import RELU
    >>> y = np.array([[1.0, 0.0], [2.0, 3.0]])
    >>> bias_activation_backward(np.ones((2, 2)), (y, y), RELU, bias=True)[1]
    array([2., 1.])
    """
    check_dtypes(dy=dy, kept=kept[1])
    return _bias_activation_backward(dy, kept, function, bias)


@composition
def _bias_activation_backward(
    dy: Array, kept: tuple[Array, Array], function: Function, bias: bool
) -> tuple[Array, Array | None]:
    g = function.backward(dy, kept)
    return g, sum_rows(g) if bias else None
