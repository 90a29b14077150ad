"""The dense (fully connected) layer."""

from __future__ import annotations

from typing import Any

from gpucnn import ops
from gpucnn.arguments import PositiveInt
from gpucnn.backend import Array, Shape
from gpucnn.errors import ShapeError
from gpucnn.layers.base import Builder, Layer
from gpucnn.layers.initialisers import Init
from gpucnn.layers.shapes import text
from gpucnn.random import Step


class Dense(Layer, name="dense"):
    """Dense: features (in,) to (out_features,): y = x w^T + b, with w (out, in).

    out_features: how many come out. bias: whether b is added. init: how w is drawn.
    """

    def __init__(self, out_features: PositiveInt, bias: bool = True, init: Init = "auto") -> None:
        super().__init__()
        self.out_features, self.bias, self.init = out_features, bias, init

    def output_shape(self, shape: Shape) -> Shape:
        """Return (out_features,)."""
        if len(shape) != 1:
            raise ShapeError(
                f"dense needs one row of features an image, but {text(shape)} comes in: put flatten or "
                "global_avg_pool2d before it"
            )
        return (self.out_features,)

    def build(self, shape: Shape, builder: Builder) -> None:
        """Make w (out, in), and b (out,) of zeros."""
        super().build(shape, builder)
        (fan_in,), fan_out = shape, self.out_features
        self.params["w"] = builder.weight("w", (fan_out, fan_in), fan_in, fan_out, self.init)
        if self.bias:
            self.params["b"] = builder.bias((fan_out,))

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y; backward needs x."""
        b = self.params["b"].operand if self.bias else None
        return ops.dense(x, self.params["w"].operand, b), x

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx = dy w."""
        self.backward_params(dy, saved)
        return ops.dense_backward_data(dy, self.params["w"].operand)

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add dw = dy^T x, and db, the sum of dy."""
        self.params["w"].accumulate(ops.dense_backward_weight(saved, dy))
        if self.bias:
            self.params["b"].accumulate(ops.dense_backward_bias(dy))

    def flops(self, shape: Shape) -> int:
        """Return 2 in out: a multiplication and an addition for every weight."""
        return 2 * shape[0] * self.out_features
