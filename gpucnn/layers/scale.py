"""A learned scale and shift of each channel."""

from __future__ import annotations

from typing import Any

from gpucnn.backend import Array, Shape
from gpucnn.layers.base import Builder, Layer
from gpucnn.ops.cast import narrowed, widened
from gpucnn.ops.sums import sum_rows
from gpucnn.random import Step


class Scale(Layer, name="scale"):
    """Each channel, the last axis, times a number plus another: y = gamma x + beta.

        dx = gamma dy      dgamma = sum over images and positions of dy x      dbeta = that of dy

    After avg_pool2d it is the trainable sub-sampling of LeNet-5 (Y. LeCun et al., "Gradient-based learning applied to
    document recognition", Proc. IEEE 1998, layers S2 and S4). gamma starts at 1, beta at 0; neither decays.
    """

    transparent = True

    def build(self, shape: Shape, builder: Builder) -> None:
        """Make gamma and beta, (C,) each."""
        super().build(shape, builder)
        self.params = {"gamma": builder.constant(shape[-1:], 1.0), "beta": builder.constant(shape[-1:], 0.0)}

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y; backward needs x."""
        y = widened(x) * self.params["gamma"].value + self.params["beta"].value
        return narrowed(y, x.dtype), x

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx, and add dgamma and dbeta."""
        self.backward_params(dy, saved)
        return narrowed(widened(dy) * self.params["gamma"].value, dy.dtype)

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add dgamma and dbeta."""
        self.params["gamma"].accumulate(sum_rows(widened(dy) * widened(saved)))
        self.params["beta"].accumulate(sum_rows(dy))

    def flops(self, shape: Shape) -> int:
        """Return 2 for each element: a multiplication and an addition."""
        return 2 * super().flops(shape)
