"""Residual: what layers make of an input is added to the input itself, or to what a shortcut makes of it."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from gpucnn import ops
from gpucnn.backend import Array, Shape
from gpucnn.errors import ShapeError
from gpucnn.layers.base import Layer
from gpucnn.layers.chain import Chain, Container
from gpucnn.layers.fused import is_together
from gpucnn.layers.shapes import text
from gpucnn.ops.activation import Function
from gpucnn.random import Step


class Residual(Container, name="residual"):
    """A residual block: y = f(x) + g(x), dx = what f hands back + what g hands back.

    layers: f. shortcut: g; without it g(x) = x. Both must give the same shape.

    Source: K. He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
    """

    ending = "add.add_activation"

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

    def forward(self, x: Array, *, train: Step | None = None, function: Function | None = None) -> tuple[Array, Any]:
        """Return f(x) + g(x), or an activation of that."""
        z, of_shortcut = self._shortcut.forward(x, train=train)
        if is_together(self, x) and self._layers.adds():
            y, of_layers = self._layers.forward(x, train=train, function=function, z=z)
            return y, _Saved(of_layers, of_shortcut)
        y, of_layers = self._layers.forward(x, train=train)
        y, kept = ops.add_activation(y, z, function)
        return y, _Saved(of_layers, of_shortcut, (function, kept))

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return the sum of what both ways hand back: the shortcut first, which the layers' dx is added to."""
        shortcut = partial(self._shortcut.backward, saved=saved.shortcut)
        if saved.end is None:
            return self._layers.backward_added(dy, saved.layers, shortcut)
        dy = ops.add_activation_backward(dy, *saved.end)
        return self._layers.backward(dy, saved.layers, shortcut(dy))


class _Saved(NamedTuple):
    """What backward needs. end: the activation, and what it saved, where they were not of the last batch_norm."""

    layers: Any
    shortcut: Any
    end: Any = None
