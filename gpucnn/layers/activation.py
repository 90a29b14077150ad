"""Activation layers: an operation of `gpucnn.ops.activation` each, element by element."""

from __future__ import annotations

from typing import Any, ClassVar

from gpucnn.arguments import NonNegativeFloat
from gpucnn.backend import Array
from gpucnn.layers.base import Layer
from gpucnn.ops.activation import Function
from gpucnn.random import Step


class Activation(Layer):
    """Base of activations: y = f(x), dx = dy f'(x), by the operations of the layer's name.

    reads: which of x and y the backward operation looks at; only that is kept until then.
    """

    reads: ClassVar[str] = "xy"

    def __init_subclass__(cls, *, name: str = "", **kwargs: Any) -> None:
        cls.activation = name
        super().__init_subclass__(name=name, **kwargs)

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, float] = {}

    @property
    def function(self) -> Function:
        """What an operation is told that ends with this activation."""
        return Function(self.name, tuple(self.options.items()), self.reads)

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return f(x)."""
        y = self.function.forward(x)
        return y, self.function.kept(x, y)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dy f'(x)."""
        return self.function.backward(dy, saved)


class Relu(Activation, name="relu"):
    """relu: max(x, 0)."""

    reads = "y"


class LeakyRelu(Activation, name="leaky_relu"):
    """leaky_relu: x where x > 0, else slope x."""

    reads = "x"

    def __init__(self, slope: NonNegativeFloat = 0.01) -> None:
        super().__init__()
        self.options = {"slope": slope}


class Sigmoid(Activation, name="sigmoid"):
    """sigmoid: 1 / (1 + e^-x)."""

    reads = "y"


class Tanh(Activation, name="tanh"):
    """tanh: the hyperbolic tangent."""

    reads = "y"


class ScaledTanh(Activation, name="scaled_tanh"):
    """scaled_tanh: LeCun's 1.7159 tanh(2x/3)."""

    reads = "y"


class Softplus(Activation, name="softplus"):
    """softplus: log(1 + e^x)."""

    reads = "x"


class Elu(Activation, name="elu"):
    """elu: x where x > 0, else alpha (e^x - 1)."""

    def __init__(self, alpha: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.options = {"alpha": alpha}


class Gelu(Activation, name="gelu"):
    """gelu: x Phi(x), Phi the normal distribution's, exactly."""

    reads = "x"


class Silu(Activation, name="silu"):
    """silu: x sigmoid(x)."""
