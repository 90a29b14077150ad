"""Activations by the kernels in activation.cu: one pair of kernels for all that `gpucnn.ops.activation` has.

a: the number that leaky_relu (slope) and elu (alpha) take; where it is not given, the operation's own default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.dispatch import NotApplicable

Function: TypeAlias = Callable[..., Array]

_NAMES = ("relu", "leaky_relu", "sigmoid", "tanh", "scaled_tanh", "softplus", "elu", "gelu", "silu")
"""As the enumeration Function of activation.cuh."""

_DEFAULTS = {"leaky_relu": 0.01, "elu": 1.0}

End: TypeAlias = dict[str, Any]
"""What other kernels take to end with an activation: its number, `function`, and `a`."""

IDENTITY: End = {"function": -1, "a": 0.0}


class Named(Protocol):
    """What is needed of `gpucnn.ops.activation.Function`."""

    @property
    def name(self) -> str:
        """The operation."""

    @property
    def options(self) -> tuple[tuple[str, float], ...]:
        """Its number, by the name that the operation gives it."""


def end_of(function: Named | None) -> End:
    """Return what a kernel that ends with an activation, or None, takes for it."""
    if function is None:
        return IDENTITY
    if function.name not in _NAMES:
        raise NotApplicable(f"no kernel ends with {function.name}")
    a = _DEFAULTS.get(function.name, 0.0)
    return {"function": _NAMES.index(function.name), "a": next(iter(dict(function.options).values()), a)}


def is_long(end: End) -> bool:
    """Return whether an activation takes more than a comparison and a product."""
    return int(end["function"]) > _NAMES.index("leaky_relu")


def tells_by_output(function: Named) -> bool:
    """Return whether the derivative is to be had from y alone, which has the sign of x where that is looked at."""
    return function.name not in ("softplus", "gelu", "silu")


def _pair(name: str) -> tuple[Function, Function]:
    """Return the functions NAME(x) and NAME_backward(dy, x, y)."""
    function, a = _NAMES.index(name), _DEFAULTS.get(name, 0.0)

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
leaky_relu, leaky_relu_backward = _pair("leaky_relu")
sigmoid, sigmoid_backward = _pair("sigmoid")
tanh, tanh_backward = _pair("tanh")
scaled_tanh, scaled_tanh_backward = _pair("scaled_tanh")
softplus, softplus_backward = _pair("softplus")
elu, elu_backward = _pair("elu")
gelu, gelu_backward = _pair("gelu")
silu, silu_backward = _pair("silu")
