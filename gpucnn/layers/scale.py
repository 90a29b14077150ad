"""A scale and shift of each channel, learned or fixed."""

from __future__ import annotations

from typing import Any

from gpucnn.arguments import PositiveFloat
from gpucnn.backend import Array, Shape
from gpucnn.layers.base import Builder, Layer
from gpucnn.ops.cast import narrowed, widened
from gpucnn.ops.sums import sum_rows
from gpucnn.random import Step


class Scale(Layer, name="scale"):
    """Each channel, the last axis, times a number plus another: y = gamma x + beta.

        dx = gamma dy      dgamma = sum over images and positions of dy x      dbeta = that of dy

    initial: what gamma starts at; beta starts at 0, and neither decays. learned: without it y = initial x for good, as
    where a network's scores shall be small at first (K. Jordan, arXiv:2404.00498).
    After avg_pool2d it is the trainable sub-sampling of LeNet-5 (Y. LeCun et al., "Gradient-based learning applied to
    document recognition", Proc. IEEE 1998, layers S2 and S4).
    """

    transparent = True

    def __init__(self, initial: PositiveFloat = 1.0, learned: bool = True) -> None:
        super().__init__()
        self.initial, self.learned = initial, learned

    def build(self, shape: Shape, builder: Builder) -> None:
        """Make gamma and beta, (C,) each, where they are learned."""
        super().build(shape, builder)
        if self.learned:
            self.params = {
                "gamma": builder.constant(shape[-1:], self.initial),
                "beta": builder.constant(shape[-1:], 0.0),
            }

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y; backward needs x where there is something to learn."""
        if not self.learned:
            return self._times(x), None
        y = widened(x) * self.params["gamma"].value + self.params["beta"].value
        return narrowed(y, x.dtype), x

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx, and add dgamma and dbeta."""
        if not self.learned:
            return self._times(dy)
        self.backward_params(dy, saved)
        return narrowed(widened(dy) * self.params["gamma"].value, dy.dtype)

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add dgamma and dbeta."""
        if self.learned:
            self.params["gamma"].accumulate(sum_rows(widened(dy) * widened(saved)))
            self.params["beta"].accumulate(sum_rows(dy))

    def _times(self, x: Array) -> Array:
        return narrowed(widened(x) * self.initial, x.dtype)

    def flops(self, shape: Shape) -> int:
        """Return 2 for each element, a multiplication and an addition; 1 where nothing is added."""
        return (1 + self.learned) * super().flops(shape)
