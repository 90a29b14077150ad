"""A convolution and the batch normalisation after it, which may add another array and end with an activation.

While training, statistics are those of the batch, and where the convolution takes them of what it writes, nobody has to
read that for them. While evaluating, they are given: with scale = gamma / sqrt(var + eps), the norm of x * w + b is the
convolution of x with kernels w scale and bias beta + (b - mean) scale: no pass over the images is left of it, nor of an
activation after it.
"""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import composition
from gpucnn.ops import batch_norm
from gpucnn.ops.activation import Function
from gpucnn.ops.batch_norm_activation import (
    Running,
    Saved,
    batch_norm_activation_eval,
    batch_norm_activation_train,
    check_z,
    named,
)
from gpucnn.ops.conv2d import checked_window, conv2d
from gpucnn.ops.window import PaddingLike, PairLike, Window

Norm = tuple[Array, Array, Array, Array, float]
"""gamma, beta, mean, var and eps."""


def conv2d_batch_norm_train(
    x: Array,
    w: Array,
    b: Array | None,
    norm: tuple[Array, Array, float],
    function: Function | None = None,
    z: Array | None = None,
    running: Running | None = None,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array, Saved]:
    """Return what `batch_norm_activation_train` does of `conv2d`: y, mean, variance, and what its backward needs.

    norm: gamma, beta and eps. What is saved has the convolution's output as x. Gradients are those of both operations.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> x, w = np.array([1.0, 3.0]).reshape(1, 1, 2, 1), np.full((1, 1, 1, 1), 2.0)
    >>> y, mean, var, saved = conv2d_batch_norm_train(x, w, None, (one, one, 0.0))
    >>> y.ravel(), mean, saved.norm.x.ravel()
    (array([0., 2.]), array([4.]), array([2., 6.]))
    """
    window = checked_window(x, w, b, stride, padding, dilation, groups)
    gamma, beta, _ = norm
    shape = len(x), *window.output, len(w)
    batch_norm.check(x, gamma, beta, train=True, shape=shape)
    check_z(z, shape, x.dtype)
    y, mean, var, saved = _conv2d_batch_norm_train(x, w, b, norm, function, z, running, window, groups)
    return y, mean, var, named(saved)


@composition
def _conv2d_batch_norm_train(
    x: Array,
    w: Array,
    b: Array | None,
    norm: tuple[Array, Array, float],
    function: Function | None,
    z: Array | None,
    running: Running | None,
    window: Window,
    groups: int,
) -> tuple[Array, Array, Array, Saved]:
    y = conv2d(x, w, b, stride=window.stride, padding=window.pads, dilation=window.dilation, groups=groups)
    return batch_norm_activation_train(y, *norm, function, z, running)


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
