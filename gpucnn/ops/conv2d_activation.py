"""A convolution and the activation after it: y = f(x * w + b).

Its gradients are those of `gpucnn.ops.conv2d`, given what `bias_activation_backward` makes of dy.
"""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import composition
from gpucnn.ops.activation import Function
from gpucnn.ops.conv2d import checked_window, conv2d
from gpucnn.ops.window import PaddingLike, PairLike, Window


def conv2d_activation(
    x: Array,
    w: Array,
    b: Array | None,
    function: Function,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> tuple[Array, tuple[Array, Array]]:
    """Return f of `conv2d`, and what `bias_activation_backward` needs.

    >>> import numpy as np
    >>> from gpucnn.ops.activation import RELU
    >>> x, w = np.array([5.0, -1.0]).reshape(1, 1, 2, 1), np.ones((1, 1, 1, 1))
    >>> conv2d_activation(x, w, None, RELU)[0].ravel()
    array([5., 0.])
    """
    window = checked_window(x, w, b, stride, padding, dilation, groups)
    return _conv2d_activation(x, w, b, function, window, groups)


@composition
def _conv2d_activation(
    x: Array, w: Array, b: Array | None, function: Function, window: Window, groups: int
) -> tuple[Array, tuple[Array, Array]]:
    v = conv2d(x, w, b, stride=window.stride, padding=window.pads, dilation=window.dilation, groups=groups)
    y = function.forward(v)
    return y, function.kept(v, y)
