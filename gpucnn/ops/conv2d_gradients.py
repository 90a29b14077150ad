"""Both gradients of a convolution at once, where that is to be had: dy is read once for both."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import composition
from gpucnn.ops.conv2d import check_added, checked_window
from gpucnn.ops.window import PaddingLike, PairLike, Window


def conv2d_gradients(
    x: Array,
    dy: Array,
    w: Array,
    z: Array | None = None,
    *,
    stride: PairLike = 1,
    padding: PaddingLike = 0,
    dilation: PairLike = 1,
    groups: int = 1,
) -> tuple[Array, Array] | None:
    """Return `conv2d_backward_data` and `conv2d_backward_weight`, dx and dw, of `conv2d(x, w)`, given dy.

    z: an array such as x, which is added to dx. None where computing them together is not possible, or no gain: then
    each is asked for by itself, so that a layer's passes stay apart for who measures them.

    >>> import numpy as np
    >>> ones = np.ones((1, 2, 2, 1))
    >>> conv2d_gradients(ones, ones, ones[:, :1, :1]) is None
    True
    """
    if z is not None:
        check_added(z, dy, x.shape)
    return _conv2d_gradients(x, dy, w, z, checked_window(x, w, None, stride, padding, dilation, groups), groups)


@composition
def _conv2d_gradients(
    x: Array, dy: Array, w: Array, z: Array | None, window: Window, groups: int
) -> tuple[Array, Array] | None:
    return None
