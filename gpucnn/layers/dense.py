"""The dense (fully connected) layer."""

from __future__ import annotations

from typing import Any

from gpucnn import ops
from gpucnn.arguments import PositiveInt
from gpucnn.backend import Array, Shape
from gpucnn.errors import ShapeError
from gpucnn.layers.base import Builder, Layer
from gpucnn.layers.behind import Kept, behind
from gpucnn.layers.initialisers import Init
from gpucnn.layers.shapes import text
from gpucnn.ops.activation import Function
from gpucnn.random import Step


class Dense(Layer, name="dense"):
    """Dense: features (in,) to (out_features,): y = x w^T + b, with w (out, in).

    out_features: how many come out. bias: whether b is added. init: how w is drawn.
    """

    ending = "dense_activation.dense_activation"

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

    def forward(self, x: Array, *, train: Step | None = None, function: Function | None = None) -> tuple[Array, Any]:
        """Return y, or f(y); backward needs x, and what f keeps."""
        w, b = self.params["w"].operand, self.params["b"].operand if self.bias else None
        if function is None:
            return ops.dense(x, w, b), x
        y, kept = ops.dense_activation(x, w, b, function)
        return y, Kept(x, function, kept)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx = dy w."""
        w, b = self.params["w"], self.params.get("b")
        x, *end = saved if isinstance(saved, Kept) else (saved,)
        with w.summed_later():
            together = ops.dense_gradients(x, dy, w.operand, b is not None, *end)
        if together:
            dx, dw, db = together
            self._accumulate(dw, db)
            return dx
        dy, saved = behind(dy, saved, b)
        self.backward_params(dy, saved)
        return ops.dense_backward_data(dy, w.operand)

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add dw = dy^T x, and db, the sum of dy."""
        dy, (x, db) = behind(dy, saved, self.params.get("b"))
        with self.params["w"].summed_later():
            dw = ops.dense_backward_weight(x, dy)
        if self.bias and db is None:
            with self.params["b"].summed_later():
                db = ops.dense_backward_bias(dy)
        self._accumulate(dw, db)

    def _accumulate(self, dw: Array, db: Array | None) -> None:
        self.params["w"].accumulate(dw)
        if db is not None:
            self.params["b"].accumulate(db)

    def flops(self, shape: Shape) -> int:
        """Return 2 in out: a multiplication and an addition for every weight."""
        return 2 * shape[0] * self.out_features
