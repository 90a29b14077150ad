"""Dense layers by the kernels in conv2d.cu: a dense layer is a convolution of 1x1 images with 1x1 kernels."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.cuda.conv2d import conv2d, conv2d_backward_data, conv2d_backward_weight
from gpucnn.cuda.geometry import Whole

WINDOW = Whole((1, 1))
"""Of the convolution that it is."""


def dense(x: Array, w: Array, b: Array | None) -> Array:
    """Return y (N, out) for x (N, in), w (out, in) and b (out,) or None."""
    return conv2d(images(x), images(w), b, WINDOW, 1).reshape(len(x), len(w))


def dense_backward_data(dy: Array, w: Array) -> Array:
    """Return dx (N, in) for dy (N, out) and w."""
    x_shape = (len(dy), 1, 1, w.shape[1])
    return conv2d_backward_data(images(dy), images(w), x_shape, WINDOW, 1).reshape(len(dy), w.shape[1])


def dense_backward_weight(x: Array, dy: Array) -> Array:
    """Return dw (out, in) for x and dy."""
    w_shape = (dy.shape[1], 1, 1, x.shape[1])
    return conv2d_backward_weight(images(x), images(dy), w_shape, WINDOW, 1).reshape(dy.shape[1], x.shape[1])


def images(x: Array) -> Array:
    """Return rows as images of one pixel."""
    return x[:, None, None, :]
