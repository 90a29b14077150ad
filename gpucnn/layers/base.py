"""What a layer is: parameters, and the operations that use them, forward and backward.

There is no autograd. `forward` returns what `backward` will need, `backward` returns the gradient of the layer's
input and adds to those of its parameters; networks are layers that hold layers (sequential, residual, concat).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from gpucnn.backend import Array, Device, Shape
from gpucnn.halves import accumulator
from gpucnn.ops.cast import store_copies
from gpucnn.ops.sums import later
from gpucnn.random import Step, Stream
from gpucnn.registry import Registered


@dataclass
class Parameter:
    """An array that is learned, its gradient, and whether weight decay applies: to weights, not to biases and norms.

    shifts_norm: whether it is the bias of a norm, which may have a learning rate of its own.
    half: in a network of halves, the copy that its operations take, written whenever `value` changes: by optimizers in
    their update, by others afterwards (`refresh`).
    The value and its gradient are float32 there: a half would lose most steps of training.
    """

    value: Array
    decay: bool = True
    grad: Array | None = None
    half: Array | None = None
    shifts_norm: bool = False

    @property
    def operand(self) -> Array:
        """What operations take beside the network's images."""
        return self.value if self.half is None else self.half

    def summed_later(self) -> AbstractContextManager[None]:
        """While entered, a gradient's sums may wait for the end of the backward pass: there is none to add it to."""
        return later() if self.grad is None else nullcontext()

    def accumulate(self, grad: Array) -> None:
        """Add a gradient to those of this step."""
        self.grad = grad if self.grad is None else self.grad + grad


def refresh(parameters: Iterable[Parameter]) -> None:
    """Make the half copies of parameters anew, all by one launch."""
    chosen = list(parameters)
    store_copies([parameter.value for parameter in chosen], [parameter.half for parameter in chosen])


@dataclass(frozen=True)
class Builder:
    """Makes the parameters of the layer at `path`: on one device, for images of one dtype, from one seed.

    activation: the activation that follows the layer (`relu`, `tanh`, ...), by which initialisers choose; None
    where none follows.
    """

    seed: int
    dtype: Any
    device: Device
    path: str = ""
    activation: str | None = None

    def at(self, path: str, activation: str | None) -> Builder:
        """Return the builder for a layer inside this one."""
        return Builder(self.seed, self.dtype, self.device, f"{self.path}.{path}" if self.path else path, activation)

    def weight(
        self, name: str, shape: Shape, fan_in: int | Array, fan_out: int | Array, init: str = "auto"
    ) -> Parameter:
        """Return a weight drawn by the initialiser `init` (`auto`: by the activation that follows)."""
        from gpucnn.layers.initialisers import initial

        stream = Stream(self.seed, f"init.{self.path}.{name}")
        values = initial(init, self.activation, stream, shape, fan_in, fan_out)
        return self._operand(Parameter(self.device.asarray(values, accumulator(self.dtype))))

    def bias(self, shape: Shape) -> Parameter:
        """Return a bias: zeros, without weight decay."""
        return self._operand(self.constant(shape, 0.0))

    def constant(self, shape: Shape, value: float) -> Parameter:
        """Return a norm's scale or shift: one value everywhere, without weight decay, never a half."""
        return Parameter(self.device.asarray(self.array(shape, value)), decay=False)

    def array(self, shape: Shape, value: float) -> Array:
        """Return an array that is kept but not learned, such as a running mean; never one of halves."""
        filled: Array = self.device.xp.full(shape, value, dtype=accumulator(self.dtype))
        return filled

    def _operand(self, parameter: Parameter) -> Parameter:
        """Return a parameter with the half copy that it needs in a network of halves."""
        if self.dtype != accumulator(self.dtype):
            parameter.half = self.device.xp.empty(parameter.value.shape, self.dtype)
            refresh([parameter])
        return parameter


class Layer(Registered, ABC, kind="layer", package="gpucnn.layers"):
    """Base of all layers. Shapes are those of one image, (H, W, C) or (features,); arrays have N in front.

    Life: constructed from its arguments; `output_shape` infers; `build` makes parameters; then forward and backward.
    """

    activation: ClassVar[str | None] = None
    """For an activation: the name that initialisers of the layer before it go by."""
    transparent: ClassVar[bool] = False
    """Whether initialisers look through this layer for the activation that follows (norms, pooling, dropout)."""

    ending: ClassVar[str] = ""
    """For a layer whose `forward` takes the activation that follows as `function`: the composition that computes both,
    FILE.NAME, where a room has it."""

    def __init__(self) -> None:
        self.path = ""
        self.params: dict[str, Parameter] = {}
        self.state: dict[str, Array] = {}
        self.input_shape: Shape = ()

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of one output image for one input image; raises ShapeError where it does not fit."""
        return shape

    def build(self, shape: Shape, builder: Builder) -> None:
        """Make the parameters for inputs of `shape`. Overriders call super().build first."""
        self.path, self.input_shape, self.params, self.state = builder.path, shape, {}, {}

    @abstractmethod
    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return y, and what `backward` needs of this pass. `train` is the step under way; None when evaluating."""

    @abstractmethod
    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx, and add to the gradients of the parameters. `saved` comes from a forward pass with `train`."""

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add to the gradients of the parameters, and compute no dx: all that a network wants of its first layer."""
        self.backward(dy, saved)

    def ends_with(self, activation: str) -> bool:
        """Return whether `forward` may take this activation."""
        return bool(self.ending)

    def flops(self, shape: Shape) -> int:
        """Return the floating-point operations of one image's forward pass, those of layers inside not counted.

        By default one for each element of the output.
        """
        return math.prod(self.output_shape(shape))

    def children(self) -> dict[str, Layer]:
        """Return the layers inside this one by their path below it; none for most."""
        return {}

    def walk(self) -> Iterator[Layer]:
        """Yield this layer, then all inside it, in the order of the forward pass."""
        yield self
        for child in self.children().values():
            yield from child.walk()
