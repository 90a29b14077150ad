"""The convolution layer."""

from __future__ import annotations

import math
from typing import Any

from gpucnn import ops
from gpucnn.arguments import Padding, Pair, PositiveInt
from gpucnn.backend import Array, Shape
from gpucnn.layers.base import Builder, Layer
from gpucnn.layers.initialisers import Init
from gpucnn.layers.shapes import require_image, shapes_that_fit
from gpucnn.ops.window import pair
from gpucnn.random import Step


class Conv2d(Layer, name="conv2d"):
    """Convolution: images (H, W, C) to (P, Q, out_channels); the maths is in `gpucnn.ops.conv2d`.

    out_channels: kernels, K. kernel_size, stride, dilation: n or [height, width]. padding: n, [height, width],
    [[top, bottom], [left, right]], `same` or `valid`. groups: into how many the channels are cut; as many as there
    are channels makes it depthwise. bias: whether b is added; a batch_norm right after makes it useless. init: how w
    (K, R, S, C/groups) is drawn.
    """

    def __init__(
        self,
        out_channels: PositiveInt,
        kernel_size: Pair = 3,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: PositiveInt = 1,
        bias: bool = True,
        init: Init = "auto",
    ) -> None:
        super().__init__()
        self.out_channels, self.kernel_size, self.bias, self.init = out_channels, kernel_size, bias, init
        self.groups = groups
        self._window: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def output_shape(self, shape: Shape) -> Shape:
        """Return (P, Q, K)."""
        require_image(self.name, shape)
        with shapes_that_fit():
            return ops.conv2d_output_shape((1, *shape), self._weight_shape(shape), **self._window)[1:]

    def build(self, shape: Shape, builder: Builder) -> None:
        """Make w (K, R, S, C/groups), and b (K,) of zeros."""
        super().build(shape, builder)
        k, r, s, depth = self._weight_shape(shape)
        fan_in, fan_out = r * s * depth, r * s * k // self.groups
        self.params["w"] = builder.weight("w", (k, r, s, depth), fan_in, fan_out, self.init)
        if self.bias:
            self.params["b"] = builder.constant((k,), 0.0)

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y; backward needs x."""
        b = self.params["b"].value if self.bias else None
        return ops.conv2d(x, self.params["w"].value, b, **self._window), x

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx: with stride 1, the full correlation of dy with the rotated kernels."""
        self.backward_params(dy, saved)
        return ops.conv2d_backward_data(dy, self.params["w"].value, saved.shape, **self._window)

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add dw, the correlation of x and dy, and db, the sum of dy."""
        w = self.params["w"]
        w.accumulate(ops.conv2d_backward_weight(saved, dy, w.value.shape, **self._window))
        if self.bias:
            self.params["b"].accumulate(ops.conv2d_backward_bias(dy))

    def flops(self, shape: Shape) -> int:
        """Return 2 P Q K R S C/groups: a multiplication and an addition for every weight at every position."""
        p, q, _ = self.output_shape(shape)
        return 2 * p * q * math.prod(self._weight_shape(shape))

    def _weight_shape(self, shape: Shape) -> Shape:
        return self.out_channels, *pair("kernel_size", self.kernel_size), shape[-1] // self.groups
