"""The way back behind an activation and a bias in one pass, by the kernels in bias_activation.cu."""

from __future__ import annotations

from gpucnn.backend import Array, array_module
from gpucnn.cuda.activation import Named, end_of, tells_by_output
from gpucnn.cuda.launch import launch
from gpucnn.cuda.spread import sizes, spread, strips
from gpucnn.cuda.sums import add_parts, new_parts, parts_of
from gpucnn.dispatch import NotApplicable


def bias_activation_backward(
    dy: Array, kept: tuple[Array, Array], function: Named, bias: bool
) -> tuple[Array, Array | None]:
    """Return g = dy f', and where there is a bias the sum of its rows."""
    if not tells_by_output(function):
        raise NotApplicable("the derivative needs what comes before the activation")
    end, g = end_of(function), array_module(dy).empty(dy.shape, dy.dtype)
    pieces = parts_of(*sizes(dy).values())
    parts = new_parts(dy, pieces, dy.shape[-1]) if bias else None
    grid = (strips(dy, end), pieces) if bias else spread(dy, end)
    launch("bias_activation_backward", grid, dy=dy, y=kept[1], g=g, parts=parts, **sizes(dy), **end)
    return g, None if parts is None else add_parts(parts, dy.shape[-1:])
