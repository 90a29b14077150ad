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
from gpucnn.ops.activation import Function
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


def adds_behind(layer: Layer | Ended, dy: Array) -> bool:
    """Return whether a layer's `backward` takes another gradient of its input, `z`, to add it to dx at once.

    A convolution's does, for arrays such as dy.
    """
    first = layer.layer if isinstance(layer, Ended) else layer
    return isinstance(first, Conv2d) and not is_apart() and at_once("conv2d.conv2d_backward_data_added", dy)


def is_joined(x: Array, train: Step | None) -> bool:
    """Return whether a conv2d and the batch_norm after it are computed at once for images such as x."""
    return not is_apart() and (train is None or at_once("conv2d_batch_norm.conv2d_batch_norm_train", x))


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
    """The forward pass of a conv2d, the batch_norm after it and maybe an activation after that, as one convolution.

    When evaluating, that is all it is; in training, it takes the batch's statistics of what it writes. What is saved is
    what both layers save, and so they go backward by themselves.
    """

    def __init__(self, conv: Conv2d, norm: BatchNorm, activation: Activation | None) -> None:
        self._conv, self._norm, self._activation = conv, norm, activation

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self._conv.path

    def forward(
        self, x: Array, *, train: Step | None = None, function: Function | None = None, z: Array | None = None
    ) -> tuple[Array, list[Any]]:
        """Return what the last layer returns, and what each saved; z and function as in batch_norm."""
        function = self._activation.function if self._activation else function
        y, kept = self._conv.forward(x, train=train, function=function, norm=self._norm, z=z)
        if train is None:
            return y, [None, None]
        first, second = kept
        return y, [first, (second,) if self._activation else second]
