"""Max pooling and the relu after it. Where relu has no gradient the index says so: that of pooling is that of both.

y = relu(max of the window)      index: as in `max_pool2d`, R*S where y is not positive: no gradient goes there
"""

from __future__ import annotations

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import composition
from gpucnn.ops.activation import relu
from gpucnn.ops.checks import check_images
from gpucnn.ops.pool2d import max_pool2d, pool_window
from gpucnn.ops.window import PaddingLike, PairLike, Window


def max_pool2d_relu(
    x: Array, kernel_size: PairLike, *, stride: PairLike | None = None, padding: PaddingLike = 0
) -> tuple[Array, Array]:
    """Return y (N, P, Q, C) and the index by which `max_pool2d_backward` gives the gradient of both.

    >>> import numpy as np
    >>> y, index = max_pool2d_relu(np.array([[1.0, 7.0, -2.0, -3.0]]).reshape(1, 1, 4, 1), (1, 2))
    >>> y.ravel().tolist(), index.ravel().tolist()
    ([7.0, 0.0], [1, 2])
    """
    check_images(x=x)
    return _max_pool2d_relu(x, pool_window(x.shape, kernel_size, stride, padding))


@composition
def _max_pool2d_relu(x: Array, window: Window) -> tuple[Array, Array]:
    xp, (r, s) = array_module(x), window.kernel
    y, index = max_pool2d(x, window.kernel, stride=window.stride, padding=window.pads)
    return relu(y), xp.where(y > 0, index, index.dtype.type(r * s))
