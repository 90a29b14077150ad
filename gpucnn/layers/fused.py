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


def adds_behind(layer: Layer | Pair, dy: Array) -> bool:
    """Return whether a layer's `backward` takes another gradient of its input, `z`, to add it to dx at once.

    A convolution's does, for arrays such as dy.
    """
    first = layer.first if isinstance(layer, Pair) else layer
    return isinstance(first, Conv2d) and not is_apart() and at_once("conv2d.conv2d_backward_data_added", dy)


class Pair:
    """A layer and what follows it: the same numbers, with fewer passes over memory where one operation computes both.

    The first layer's `forward` takes what follows as `ending` then, and its `backward` what that saved.
    """

    def __init__(self, first: Layer, second: Layer | Pair, **ending: Any) -> None:
        self.first, self.second, self.ending = first, second, ending

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self.first.path

    def is_one(self, x: Array, train: Step | None) -> bool:
        """Return whether both are computed at once for images such as x."""
        return is_together(self.first, x)

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return what the second one returns, and what each saved, or both together."""
        if self.is_one(x, train):
            y, saved = self.first.forward(x, train=train, **self.ending)
            return y, (saved,)
        between, first = self.first.forward(x, train=train)
        y, second = self.second.forward(between, train=train)
        return y, (first, second)

    def backward(self, dy: Array, saved: Any, *z: Array) -> Array:
        """Return dx, and add to the gradients of the parameters. z: what the first layer takes besides."""
        backward: Any = self.first.backward
        dx: Array = backward(self._between(dy, saved), saved[0], *z)
        return dx

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add to the gradients of the parameters; nobody asks for dx."""
        self.first.backward_params(self._between(dy, saved), saved[0])

    def _between(self, dy: Array, saved: Any) -> Array:
        """Return the gradient of what the first layer returned: dy itself where it returned what both make."""
        return dy if len(saved) == 1 else self.second.backward(dy, saved[1])


class Ended(Pair):
    """A layer and the activation after it."""

    def __init__(self, layer: Layer, activation: Activation) -> None:
        super().__init__(layer, activation, function=activation.function)


class Pooled(Pair):
    """A batch_norm and the max_pool2d after it, maybe with its relu: in training, nothing is written between them."""

    def __init__(self, norm: BatchNorm, pool: Layer | Pair) -> None:
        maxima: Any = pool.first if isinstance(pool, Pair) else pool
        super().__init__(norm, pool, pooling=maxima.pooling(relu=isinstance(pool, Pair)))

    def is_one(self, x: Array, train: Step | None) -> bool:
        """Return whether both are computed at once: in training, where an operation is to be had that does."""
        at_all = train is not None and not is_apart()
        return at_all and at_once("batch_norm_max_pool2d.batch_norm_max_pool2d_train", x)


class ConvNorm:
    """The forward pass of a conv2d, the batch_norm after it and maybe what follows that, as one convolution.

    What follows is an activation, or in training maxima. When evaluating, that is all it is; in training, it takes the
    batch's statistics of what it writes. What is saved is what both save, and so they go backward by themselves.
    """

    def __init__(self, conv: Conv2d, last: Layer | Pair) -> None:
        self._conv, self._last = conv, last
        self._norm: Any = last.first if isinstance(last, Pair) else last

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self._conv.path

    def forward(self, x: Array, *, train: Step | None = None, **ending: Any) -> tuple[Array, list[Any]]:
        """Return what the last layer returns, and what each saved; ending: z and function, as in batch_norm."""
        pool = self._last.second if train is None and isinstance(self._last, Pooled) else None
        if isinstance(self._last, Pair) and not pool:
            ending |= self._last.ending
        y, kept = self._conv.forward(x, train=train, norm=self._norm, **ending)
        if train is None:
            return pool.forward(y)[0] if pool else y, [None, None]
        first, second = kept
        return y, [first, (second,) if isinstance(self._last, Pair) else second]
