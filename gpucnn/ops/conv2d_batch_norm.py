"""A convolution and the batch normalisation after it, with given statistics, as one convolution.

With scale = gamma / sqrt(var + eps), the norm of x * w + b is the convolution of x with kernels w scale and bias
beta + (b - mean) scale: no pass over the images is left of it, nor of an activation after it.
"""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import composition
from gpucnn.ops.activation import Function
from gpucnn.ops.batch_norm_activation import batch_norm_activation_eval
from gpucnn.ops.conv2d import checked_window, conv2d
from gpucnn.ops.window import PaddingLike, PairLike, Window

Norm = tuple[Array, Array, Array, Array, float]
"""gamma, beta, mean, var and eps."""


def conv2d_batch_norm_eval(
    x: Array,
    w: Array,
    b: Array | None,
    norm: Norm,
    function: Function | None = None,
    z: Array | None = None,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> Array:
    """Return `batch_norm_eval`, by norm (gamma, beta, mean, var, eps), of `conv2d`, or f of that.

    z: of the same shape, is added before f.

    >>> import numpy as np
    >>> from gpucnn.ops.activation import RELU
    >>> one = np.ones(1)
    >>> x, w = np.array([5.0, 1.0]).reshape(1, 1, 2, 1), np.ones((1, 1, 1, 1))
    >>> conv2d_batch_norm_eval(x, w, None, (2 * one, one, 3 * one, 4 * one, 0.0), function=RELU).ravel()
    array([3., 0.])
    """
    window = checked_window(x, w, b, stride, padding, dilation, groups)
    return _conv2d_batch_norm_eval(x, w, b, norm, function, z, window, groups)


@composition
def _conv2d_batch_norm_eval(
    x: Array,
    w: Array,
    b: Array | None,
    norm: Norm,
    function: Function | None,
    z: Array | None,
    window: Window,
    groups: int,
) -> Array:
    y = conv2d(x, w, b, stride=window.stride, padding=window.pads, dilation=window.dilation, groups=groups)
    return batch_norm_activation_eval(y, *norm, function, z)
