"""Pooling layers: the maximum, the mean or the sum of each window; or of the whole image."""

from __future__ import annotations

from typing import Any

from gpucnn import ops
from gpucnn.arguments import Padding, Pair
from gpucnn.backend import Array, Shape
from gpucnn.layers.base import Layer
from gpucnn.layers.shapes import require_image, shapes_that_fit
from gpucnn.ops.activation import Function
from gpucnn.ops.batch_norm_max_pool2d import Pooling
from gpucnn.ops.window import pair
from gpucnn.random import Step


class _Pool2d(Layer):
    """Base of the three: a window, and how far it moves. The maths is in `gpucnn.ops.pool2d`."""

    transparent = True

    def __init__(self, kernel_size: Pair, stride: Pair | None, padding: Padding) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self._window: dict[str, Any] = {"stride": stride, "padding": padding}

    def output_shape(self, shape: Shape) -> Shape:
        """Return (P, Q, C)."""
        require_image(self.name, shape)
        with shapes_that_fit():
            return ops.pool2d_output_shape((1, *shape), self.kernel_size, **self._window)[1:]

    def flops(self, shape: Shape) -> int:
        """Return P Q C R S: each output looks at R S inputs."""
        p, q, c = self.output_shape(shape)
        r, s = pair("kernel_size", self.kernel_size)
        return p * q * c * r * s


class MaxPool2d(_Pool2d, name="max_pool2d"):
    """The maximum of each window; its gradient goes to the first element that was the maximum.

    kernel_size, stride: n or [height, width]; stride is the kernel's size unless given. padding: as in conv2d; it is
    never the maximum.
    """

    ending = "pool2d.max_pool2d"

    def __init__(self, kernel_size: Pair = 2, stride: Pair | None = None, padding: Padding = 0) -> None:
        super().__init__(kernel_size, stride, padding)

    def ends_with(self, activation: str) -> bool:
        """Return whether it is the relu: no gradient goes through where it is 0, and none is changed elsewhere."""
        return activation == "relu"

    def pooling(self, relu: bool) -> Pooling:
        """Return which maxima are taken, for what takes them together with what comes before."""
        return Pooling(self.kernel_size, relu=relu, **self._window)

    def forward(self, x: Array, *, train: Step | None = None, function: Function | None = None) -> tuple[Array, Any]:
        """Return y, or relu(y) where a function is given; backward needs where the maxima stood."""
        y, index = ops.max_pool2d(x, self.kernel_size, **self._window, relu=function is not None)
        return y, (index, x.shape)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx: dy at the maxima."""
        index, shape = saved
        return ops.max_pool2d_backward(dy, index, shape, self.kernel_size, **self._window)


class AvgPool2d(_Pool2d, name="avg_pool2d"):
    """The mean of each window; its gradient goes in equal parts to all elements.

    kernel_size, stride, padding: as in max_pool2d. count_include_pad: whether the mean counts padding, as zeros.
    """

    def __init__(
        self, kernel_size: Pair = 2, stride: Pair | None = None, padding: Padding = 0, count_include_pad: bool = True
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self._mean: dict[str, Any] = {**self._window, "count_include_pad": count_include_pad}

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y; backward needs the shape of x."""
        return ops.avg_pool2d(x, self.kernel_size, **self._mean), x.shape

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx: a part of dy for every element of its window."""
        return ops.avg_pool2d_backward(dy, saved, self.kernel_size, **self._mean)


class SumPool2d(_Pool2d, name="sum_pool2d"):
    """The sum of each window; its gradient goes to all elements.

    kernel_size, stride, padding: as in max_pool2d.
    """

    def __init__(self, kernel_size: Pair = 2, stride: Pair | None = None, padding: Padding = 0) -> None:
        super().__init__(kernel_size, stride, padding)

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y; backward needs the shape of x."""
        return ops.sum_pool2d(x, self.kernel_size, **self._window), x.shape

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx: dy for every element of its window."""
        return ops.sum_pool2d_backward(dy, saved, self.kernel_size, **self._window)


class GlobalAvgPool2d(Layer, name="global_avg_pool2d"):
    """The mean of each channel over the whole image: (H, W, C) to (C,). Source: M. Lin et al., arXiv:1312.4400."""

    transparent = True

    def output_shape(self, shape: Shape) -> Shape:
        """Return (C,)."""
        require_image(self.name, shape)
        return shape[2:]

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y; backward needs the shape of x."""
        return ops.global_avg_pool2d(x), x.shape

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx: dy / (H*W) everywhere."""
        return ops.global_avg_pool2d_backward(dy, saved)

    def flops(self, shape: Shape) -> int:
        """Return H W C: every input is added once."""
        h, w, c = shape
        return h * w * c
