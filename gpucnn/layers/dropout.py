"""Dropout: while training, some elements are zero, and the others larger to make up for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn.arguments import Fraction
from gpucnn.backend import Array, array_module
from gpucnn.layers.base import Layer
from gpucnn.random import Step


class Dropout(Layer, name="dropout"):
    """y = x m / (1 - rate) with m = 0 at random elements, each with probability `rate`; y = x when evaluating.

    The mask is a function of the seed, the step and the layer's path: the same on every device, in every precision,
    and in a run that is resumed.

    Source: N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
    """

    transparent = True

    def __init__(self, rate: Fraction = 0.5) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y; backward needs m / (1 - rate)."""
        if train is None or self.rate == 0:
            return x, None
        kept = train.stream(self.path).uniform(x.shape, np.float32, array_module(x)) >= self.rate
        mask = kept * x.dtype.type(1 / (1 - self.rate))
        return x * mask, mask

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dy m / (1 - rate)."""
        return dy if saved is None else dy * saved
