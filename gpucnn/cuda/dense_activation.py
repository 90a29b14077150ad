"""A dense layer whose kernels end with an activation: a convolution, as in `gpucnn.cuda.dense`."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.cuda.activation import Named
from gpucnn.cuda.conv2d_activation import conv2d_activation
from gpucnn.cuda.dense import WINDOW, images


def dense_activation(x: Array, w: Array, b: Array | None, function: Named) -> tuple[Array, tuple[Array, Array]]:
    """Return y = f(x w^T + b), and it again for the backward pass."""
    y, _ = conv2d_activation(images(x), images(w), b, function, WINDOW, 1)
    y = y.reshape(len(x), len(w))
    return y, (y, y)
