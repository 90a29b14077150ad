"""Max pooling that ends with relu, by the kernels in pool2d.cu."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.cuda.geometry import Window
from gpucnn.cuda.pool2d import max_pool2d


def max_pool2d_relu(x: Array, window: Window) -> tuple[Array, Array]:
    """Return y = relu(maximum), and the index of each maximum that is positive, R*S elsewhere."""
    return max_pool2d(x, window, relu=True)
