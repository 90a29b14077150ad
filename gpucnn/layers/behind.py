"""What layers that end with an activation save, and the way back to before it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, NamedTuple

from gpucnn import ops
from gpucnn.backend import Array
from gpucnn.layers.base import Parameter
from gpucnn.ops.activation import Function


class Kept(NamedTuple):
    """What a product that ended with an activation needs backward: x, and what the activation kept."""

    x: Array
    function: Function
    kept: Any


class Behind(NamedTuple):
    """What is left to know behind the activation: x, and the bias's gradient if it has been summed on the way."""

    x: Array
    db: Array | None = None


def behind(dy: Array, saved: Any, bias: Parameter | None) -> tuple[Array, Behind]:
    """Return the gradient of a product with its bias, given that of what the layer returned, and what is left to know.

    bias: its gradient may be summed later. saved: x alone where no activation was the layer's; or what this returned.
    """
    if isinstance(saved, Behind):
        return dy, saved
    if not isinstance(saved, Kept):
        return dy, Behind(saved)
    with bias.summed_later() if bias else nullcontext():
        dy, db = ops.bias_activation_backward(dy, saved.kept, saved.function, bias is not None)
    return dy, Behind(saved.x, db)
