"""Activations by the kernels in activation.cu: one pair of kernels for all that `gpucnn.ops.activation` has.

a: the number that leaky_relu (slope) and elu (alpha) take; where it is not given, the operation's own default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch

Function: TypeAlias = Callable[..., Array]

_NAMES = ("relu", "leaky_relu", "sigmoid", "tanh", "scaled_tanh", "softplus", "elu", "gelu", "silu")
"""As the enumeration Function of activation.cuh."""


def _pair(name: str, a: float = 0.0) -> tuple[Function, Function]:
    """Return the functions NAME(x) and NAME_backward(dy, x, y)."""
    function = _NAMES.index(name)

    def forward(x: Array, **option: float) -> Array:
        y: Array = array_module(x).empty(x.shape, x.dtype)
        numbers: dict[str, Any] = {"count": x.size, "function": function, "a": next(iter(option.values()), a)}
        launch("activation_forward", blocks(x.size), x=x, y=y, **numbers)
        return y

    def backward(dy: Array, x: Array, y: Array, **option: float) -> Array:
        dx: Array = array_module(dy).empty(dy.shape, dy.dtype)
        numbers: dict[str, Any] = {"count": dy.size, "function": function, "a": next(iter(option.values()), a)}
        launch("activation_backward", blocks(dy.size), dy=dy, x=x, y=y, dx=dx, **numbers)
        return dx

    return forward, backward


relu, relu_backward = _pair("relu")
leaky_relu, leaky_relu_backward = _pair("leaky_relu", 0.01)
sigmoid, sigmoid_backward = _pair("sigmoid")
tanh, tanh_backward = _pair("tanh")
scaled_tanh, scaled_tanh_backward = _pair("scaled_tanh")
softplus, softplus_backward = _pair("softplus")
elu, elu_backward = _pair("elu", 1.0)
gelu, gelu_backward = _pair("gelu")
silu, silu_backward = _pair("silu")
