"""Residual: what layers make of an input is added to the input itself, or to what a shortcut makes of it."""

from __future__ import annotations

from typing import Any

from gpucnn import ops
from gpucnn.backend import Array, Shape
from gpucnn.errors import ShapeError
from gpucnn.layers.base import Layer
from gpucnn.layers.chain import Chain, Container
from gpucnn.layers.shapes import text
from gpucnn.random import Step


class Residual(Container, name="residual"):
    """A residual block: y = f(x) + g(x), dx = what f hands back + what g hands back.

    layers: f. shortcut: g; without it g(x) = x. Both must give the same shape.

    Source: K. He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
    """

    def __init__(self, layers: list[Layer], shortcut: list[Layer] | None = None) -> None:
        self._layers, self._shortcut = Chain(layers), Chain(shortcut or [])
        super().__init__({"layers": self._layers, "shortcut": self._shortcut})

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape that the layers and the shortcut both give."""
        layers, shortcut = self.output_shapes(shape)
        if layers != shortcut:
            raise ShapeError(
                f"the layers make {text(layers)} of {text(shape)}, the shortcut {text(shortcut)}: they are added, so "
                "give it a shortcut of the same shape, such as a 1x1 conv2d with the same stride"
            )
        return layers

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return f(x) + g(x)."""
        y, saved = self._layers.forward(x, train=train)
        other, saved_shortcut = self._shortcut.forward(x, train=train)
        return ops.add(y, other), (saved, saved_shortcut)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return the sum of what both ways hand back."""
        return ops.add(self._layers.backward(dy, saved[0]), self._shortcut.backward(dy, saved[1]))
