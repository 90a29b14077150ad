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
from gpucnn.ops.batch_norm_max_pool2d import Pooling
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


def is_joined(x: Array, train: Step | None) -> bool:
    """Return whether a conv2d and the batch_norm after it are computed at once for images such as x."""
    return not is_apart() and (train is None or at_once("conv2d_batch_norm.conv2d_batch_norm_train", x))


def adds_behind(layer: Layer | Ended, dy: Array) -> bool:
    """Return whether a layer's `backward` takes another gradient of its input, `z`, to add it to dx at once.

    A convolution's does, for arrays such as dy.
    """
    first = layer.layer if isinstance(layer, Ended) else layer
    return isinstance(first, Conv2d) and not is_apart() and at_once("conv2d.conv2d_backward_data_added", dy)


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


class Pooled:
    """A batch_norm and the max_pool2d after it, maybe with its relu: in training, nothing is written between them.

    So it is where an operation is to be had that computes both; else one is computed after the other.
    """

    def __init__(self, norm: BatchNorm, pool: Layer | Ended) -> None:
        self.norm, self.pool = norm, pool
        maxima: Any = pool.layer if isinstance(pool, Ended) else pool
        self.pooling: Pooling = maxima.pooling(relu=isinstance(pool, Ended))

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self.norm.path

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return the maxima, and what each saved, or both together."""
        if train is not None and not is_apart() and at_once("batch_norm_max_pool2d.batch_norm_max_pool2d_train", x):
            y, saved = self.norm.forward(x, train=train, pooling=self.pooling)
            return y, (saved,)
        between, first = self.norm.forward(x, train=train)
        y, second = self.pool.forward(between, train=train)
        return y, (first, second)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx, and add to the gradients of the parameters."""
        return self.norm.backward(dy if len(saved) == 1 else self.pool.backward(dy, saved[1]), saved[0])

    backward_params = backward


class ConvNorm:
    """The forward pass of a conv2d, the batch_norm after it and maybe what follows that, as one convolution.

    What follows is an activation, or in training maxima. When evaluating, that is all it is; in training, it takes the
    batch's statistics of what it writes. What is saved is what both save, and so they go backward by themselves.
    """

    def __init__(self, conv: Conv2d, last: Layer | Ended | Pooled) -> None:
        self._conv, self._last = conv, last
        norm: Any = last.layer if isinstance(last, Ended) else last.norm if isinstance(last, Pooled) else last
        self._norm: BatchNorm = norm

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self._conv.path

    def forward(self, x: Array, *, train: Step | None = None, **ending: Any) -> tuple[Array, list[Any]]:
        """Return what the last layer returns, and what each saved; ending: z and function, as in batch_norm."""
        if isinstance(self._last, Ended):
            ending["function"] = self._last.activation.function
        elif isinstance(self._last, Pooled) and train is not None:
            ending["pooling"] = self._last.pooling
        y, kept = self._conv.forward(x, train=train, norm=self._norm, **ending)
        if train is None:
            return self._last.pool.forward(y)[0] if isinstance(self._last, Pooled) else y, [None, None]
        first, second = kept
        return y, [first, second if isinstance(self._last, BatchNorm) else (second,)]
