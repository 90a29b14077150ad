"""Activations, element by element: y = f(x), and dx = dy f'(x) written with whichever of x and y makes it cheapest.

Every pair has the form `NAME(x) -> y` and `NAME_backward(dy, x, y) -> dx`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation
from gpucnn.ops.checks import check_dtypes
from gpucnn.ops.erf import erf

SCALED_TANH_A, SCALED_TANH_B = 1.7159, 2.0 / 3.0


class Function(NamedTuple):
    """An activation with its number, such as a slope: what another operation may end with.

    reads: which of x and y the backward operation looks at.

    >>> import numpy as np
    >>> Function("leaky_relu", (("slope", 0.5),), reads="x").forward(np.array([-1.0, 1.0]))
    array([-0.5,  1. ])
    """

    name: str
    options: tuple[tuple[str, float], ...] = ()
    reads: str = "xy"

    def forward(self, x: Array) -> Array:
        """Return y = f(x)."""
        y: Array = globals()[self.name](x, **dict(self.options))
        return y

    def backward(self, dy: Array, kept: tuple[Array, Array]) -> Array:
        """Return dx, given dy and what `kept` returned."""
        dx: Array = globals()[f"{self.name}_backward"](dy, *kept, **dict(self.options))
        return dx

    def kept(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return x and y, as far as backward looks at them: one stands in for the one that is not read."""
        return (x if "x" in self.reads else y, y if "y" in self.reads else x)


RELU = Function("relu", reads="y")


@operation
def relu(x: Array) -> Array:
    """Return max(x, 0); its derivative at 0 is taken as 0."""
    y: Array = _module(x).maximum(x, x.dtype.type(0))
    return y


@operation
def relu_backward(dy: Array, x: Array, y: Array) -> Array:
    """Return dy where y > 0, else 0."""
    return dy * (y > 0)


@operation
def leaky_relu(x: Array, *, slope: float = 0.01) -> Array:
    """Return x where x > 0, else slope x."""
    y: Array = _module(x).where(x > 0, x, slope * x)
    return y


@operation
def leaky_relu_backward(dy: Array, x: Array, y: Array, *, slope: float = 0.01) -> Array:
    """Return dy where x > 0, else slope dy."""
    dx: Array = array_module(x).where(x > 0, dy, slope * dy)
    return dx


@operation
def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e^-x), as (1 + tanh(x/2)) / 2, which cannot overflow."""
    return _logistic(x)


@operation
def sigmoid_backward(dy: Array, x: Array, y: Array) -> Array:
    """Return dy y (1 - y)."""
    dx: Array = dy * y * (1 - y)
    return dx


@operation
def tanh(x: Array) -> Array:
    """Return tanh x."""
    y: Array = _module(x).tanh(x)
    return y


@operation
def tanh_backward(dy: Array, x: Array, y: Array) -> Array:
    """Return dy (1 - y^2)."""
    dx: Array = dy * (1 - y * y)
    return dx


@operation
def scaled_tanh(x: Array) -> Array:
    """Return 1.7159 tanh(2x/3): f(1) = 1 and f(-1) = -1, so that outputs keep a variance near 1.

    Source: Y. LeCun et al., "Efficient BackProp", 1998.
    """
    y: Array = _module(x).tanh(SCALED_TANH_B * x)
    y *= SCALED_TANH_A
    return y


@operation
def scaled_tanh_backward(dy: Array, x: Array, y: Array) -> Array:
    """Return dy b (a - y^2 / a) with a = 1.7159, b = 2/3."""
    return dy * (SCALED_TANH_A * SCALED_TANH_B - (SCALED_TANH_B / SCALED_TANH_A) * y * y)


@operation
def softplus(x: Array) -> Array:
    """Return log(1 + e^x), as max(x, 0) + log(1 + e^-|x|), which cannot overflow."""
    xp = _module(x)
    y: Array = xp.log1p(xp.exp(-xp.abs(x)))
    y += xp.maximum(x, x.dtype.type(0))
    return y


@operation
def softplus_backward(dy: Array, x: Array, y: Array) -> Array:
    """Return dy sigmoid(x)."""
    dx: Array = dy * _logistic(x)
    return dx


@operation
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    """Return x where x > 0, else alpha (e^x - 1). Source: D. Clevert et al., arXiv:1511.07289."""
    xp = _module(x)
    y: Array = xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, x.dtype.type(0))))
    return y


@operation
def elu_backward(dy: Array, x: Array, y: Array, *, alpha: float = 1.0) -> Array:
    """Return dy where x > 0, else dy (y + alpha)."""
    dx: Array = array_module(x).where(x > 0, dy, dy * (y + alpha))
    return dx


@operation
def gelu(x: Array) -> Array:
    """Return x Phi(x), Phi the normal distribution's, exactly: x (1 + erf(x / sqrt 2)) / 2.

    Source: D. Hendrycks and K. Gimpel, arXiv:1606.08415.
    """
    check_dtypes(x=x)
    y: Array = x * _normal_cdf(x)
    return y


@operation
def gelu_backward(dy: Array, x: Array, y: Array) -> Array:
    """Return dy (Phi(x) + x phi(x)), phi the normal density."""
    density = array_module(x).exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    dx: Array = dy * (_normal_cdf(x) + x * density)
    return dx


@operation
def silu(x: Array) -> Array:
    """Return x sigmoid(x), also called swish. Source: P. Ramachandran et al., arXiv:1710.05941."""
    y: Array = x * _logistic(x)
    return y


@operation
def silu_backward(dy: Array, x: Array, y: Array) -> Array:
    """Return dy (s + y (1 - s)) with s = sigmoid(x)."""
    s = _logistic(x)
    dx: Array = dy * (s + y * (1 - s))
    return dx


def _logistic(x: Array) -> Array:
    s: Array = _module(x).tanh(0.5 * x)
    s += 1
    s *= 0.5
    return s


def _normal_cdf(x: Array) -> Array:
    cdf: Array = 0.5 * (1 + erf(x * math.sqrt(0.5)))
    return cdf


def _module(x: Array) -> Any:
    """Return the array module of x, which must be an array of floats."""
    check_dtypes(x=x)
    return array_module(x)
