"""Sequential: a list of layers as one, as often as wanted."""

from __future__ import annotations

import copy
from typing import Annotated, Any

from annotated_types import Interval

from gpucnn.backend import Array, Shape
from gpucnn.layers.base import Layer
from gpucnn.layers.chain import Chain, Container
from gpucnn.random import Step

Repeat = Annotated[int, Interval(ge=1, le=1000)]
"""More than any network has, and few enough to build before a slip of the finger is told."""


class Sequential(Container, name="sequential"):
    """Layers one after the other: y = f_n(... f_2(f_1(x))).

    layers: the list. repeat: how many times over, at most 1000, each time with parameters of its own.
    """

    def __init__(self, layers: list[Layer], repeat: Repeat = 1) -> None:
        copies = [copy.deepcopy(layer) for _ in range(repeat - 1) for layer in layers]
        self._chain = Chain([*layers, *copies], period=len(layers))
        super().__init__({"layers": self._chain})

    def output_shape(self, shape: Shape) -> Shape:
        """Return the last layer's."""
        return self.output_shapes(shape)[0]

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return the last layer's y."""
        return self._chain.forward(x, train=train)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return the first layer's dx."""
        return self._chain.backward(dy, saved)

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Spare the first layer's dx."""
        self._chain.backward_params(dy, saved)

    def flops(self, shape: Shape) -> int:
        """Return 0: all work is done inside."""
        return 0
