"""Layers that are computed at once, where an operation is to be had that does what two or three of them do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from gpucnn.backend import Array
from gpucnn.dispatch import at_once
from gpucnn.layers.activation import Activation
from gpucnn.layers.base import Layer
from gpucnn.layers.batch_norm import BatchNorm
from gpucnn.layers.conv2d import Conv2d
from gpucnn.layers.memory import memory_for
from gpucnn.random import Step
from gpucnn.setting import Setting

_apart = Setting("apart", False)


def apart() -> AbstractContextManager[None]:
    """Compute every layer by itself while entered: for those who look at what each of them returns."""
    return _apart.using(True)


def is_apart() -> bool:
    """Return whether every layer is computed by itself."""
    return _apart.get()


def is_together(layer: Layer, x: Array) -> bool:
    """Return whether a layer and what follows are computed at once for images such as x."""
    return not is_apart() and at_once(layer.ending, x)


def adds_behind(layer: Layer | Ended | ConvNorm, dy: Array) -> bool:
    """Return whether a layer's `backward` takes another gradient of its input, `z`, to add it to dx at once.

    A convolution's does, for arrays such as dy.
    """
    first = layer.layer if isinstance(layer, Ended) else layer
    return isinstance(first, (Conv2d, ConvNorm)) and not is_apart() and at_once("conv2d.conv2d_backward_data_added", dy)


class Ended:
    """A layer and the activation after it: the same numbers, with fewer passes over memory.

    The layer's `forward` takes the activation as `function`, and its `backward` what that saved.
    """

    def __init__(self, layer: Layer, activation: Activation) -> None:
        self.layer, self.activation = layer, activation

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self.layer.path

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return f of the layer's output, and what each saved, or both together."""
        forward: Any = self.layer.forward
        if is_together(self.layer, x):
            y, saved = forward(x, train=train, function=self.activation.function)
            return y, (saved,)
        between, first = forward(x, train=train)
        y, second = self.activation.forward(between, train=train)
        return y, (first, second)

    def backward(self, dy: Array, saved: Any, *z: Array) -> Array:
        """Return dx, and add to the gradients of the parameters. z: what the layer takes besides."""
        backward: Any = self.layer.backward
        dx: Array = backward(dy if len(saved) == 1 else self.activation.backward(dy, saved[1]), saved[0], *z)
        return dx

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add to the gradients of the parameters; nobody asks for dx."""
        self.layer.backward_params(dy if len(saved) == 1 else self.activation.backward(dy, saved[1]), saved[0])


class ConvNorm:
    """A conv2d and the batch_norm after it, which an activation may end: `last` is the norm, or the norm so `Ended`.

    When evaluating they are one convolution. In training, the convolution takes the batch's statistics of what it
    writes, where an operation is to be had that does so; else one is computed after the other.
    """

    ending = "conv2d_batch_norm.conv2d_batch_norm_train"

    def __init__(self, conv: Conv2d, norm: BatchNorm, last: Layer | Ended) -> None:
        self._conv, self._norm, self.last = conv, norm, last

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self._conv.path

    def forward(self, x: Array, *, train: Step | None = None, **last: Any) -> tuple[Array, Any]:
        """Return what the last layer returns, and what each saved; last: what a batch_norm takes besides."""
        if is_apart() or (train is not None and not at_once(self.ending, x)):
            between, first = self._conv.forward(x, train=train)
            with memory_for(self.last):
                y, second = self.last.forward(between, train=train, **last)
            return y, (first, second)
        if isinstance(self.last, Ended):
            last["function"] = self.last.activation.function
        y, saved = self._conv.forward(x, train=train, norm=self._norm, **last)
        if saved and isinstance(self.last, Ended):
            return y, (saved[0], (saved[1],))
        return y, saved

    def backward(self, dy: Array, saved: Any, z: Array | None = None) -> Array:
        """Return dx, or dx + z, and add to the gradients of the parameters."""
        return self._conv.backward(self._behind(dy, saved), saved[0], z)

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add to the gradients of the parameters; nobody asks for dx."""
        self._conv.backward_params(self._behind(dy, saved), saved[0])

    def backward_added(self, dy: Array, saved: Any) -> tuple[Array, Array | None]:
        """Return dx, and dz of what the batch_norm added."""
        with memory_for(self.last):
            dy, dz = self._norm.backward_added(dy, saved[1])
        return self._conv.backward(dy, saved[0]), dz

    def _behind(self, dy: Array, saved: Any) -> Array:
        """Return the gradient of the convolution's output."""
        with memory_for(self.last):
            return self.last.backward(dy, saved[1])
