"""Dropout: while training, some elements are zero, and the others larger to make up for it."""

from __future__ import annotations

from typing import Any

from gpucnn import ops
from gpucnn.arguments import Fraction
from gpucnn.backend import Array
from gpucnn.layers.base import Layer
from gpucnn.random import Step


class Dropout(Layer, name="dropout"):
    """y = x m while training, with m = 0 at random elements and 1 / (1 - rate) at the others; y = x when evaluating.

    rate: the probability that an element is dropped, from 0 to below 1.

    The mask is a function of the seed, the step and the layer's path: the same on every device, in every precision,
    and in a run that is resumed.
    """

    transparent = True

    def __init__(self, rate: Fraction = 0.5) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y; backward needs which elements were kept."""
        if train is None or self.rate == 0:
            return x, None
        start = train.first * (x.size // len(x)) if len(x) else 0
        return ops.dropout(x, self.rate, train.stream(self.path), start=start)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dy m."""
        return dy if saved is None else ops.dropout_backward(dy, saved, self.rate)
