"""Flatten: from images to rows of features."""

from __future__ import annotations

import math
from typing import Any

from gpucnn.backend import Array, Shape
from gpucnn.layers.base import Layer
from gpucnn.random import Step


class Flatten(Layer, name="flatten"):
    """Images (H, W, C) to features (H*W*C,): row by row, within a row column by column, channels innermost."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return (H*W*C,)."""
        return (math.prod(shape),)

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return x as rows; backward needs its shape."""
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dy in the shape of x."""
        return dy.reshape(saved)

    def flops(self, shape: Shape) -> int:
        """Return 0: nothing is computed."""
        return 0
