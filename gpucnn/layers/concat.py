"""Concat: branches that look at the same input, their channels laid side by side."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import MinLen

from gpucnn.backend import Array, Shape, array_module
from gpucnn.errors import ShapeError
from gpucnn.layers.base import Layer
from gpucnn.layers.chain import Chain, Container
from gpucnn.layers.shapes import text
from gpucnn.random import Step


class Concat(Container, name="concat"):
    """y = [f_1(x), f_2(x), ...] along the channels; dx is the sum of what the branches hand back.

    branches: one list of layers each; an empty list hands its input on. They must give the same height and width.

    Source: C. Szegedy et al., "Going deeper with convolutions", arXiv:1409.4842.
    """

    def __init__(self, branches: Annotated[list[list[Layer]], MinLen(1)]) -> None:
        super().__init__({f"branches.{i}": Chain(layers) for i, layers in enumerate(branches)})

    def output_shape(self, shape: Shape) -> Shape:
        """Return the branches' height and width and the sum of their channels."""
        shapes = self.output_shapes(shape)
        if len({each[:-1] for each in shapes}) > 1:
            raise ShapeError(
                f"the branches make {', '.join(map(text, shapes))} of {text(shape)}: only the channels, the last size, "
                "may differ; give them the same strides and paddings"
            )
        return *shapes[0][:-1], sum(each[-1] for each in shapes)

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return the branches' outputs side by side."""
        ys, saved = zip(*(chain.forward(x, train=train) for chain in self.chains.values()), strict=True)
        channels = [y.shape[-1] for y in ys]
        whole, start = array_module(x).empty((*ys[0].shape[:-1], sum(channels)), ys[0].dtype), 0
        for y, count in zip(ys, channels, strict=True):
            whole[..., start : start + count] = y
            start += count
        return whole, (channels, saved)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Cut dy into the branches' parts; return the sum of what they hand back."""
        channels, saved_branches = saved
        dx: Array | None = None
        start = 0
        for chain, count, kept in zip(self.chains.values(), channels, saved_branches, strict=True):
            dx, start = chain.backward(dy[..., start : start + count], kept, dx), start + count
        assert dx is not None, "there is at least one branch"
        return dx

    def flops(self, shape: Shape) -> int:
        """Return 0: all work is done inside."""
        return 0
