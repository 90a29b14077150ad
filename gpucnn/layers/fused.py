"""Layers that are computed at once, where an operation is to be had that does what two or three of them do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from gpucnn.backend import Array
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


class NormRelu:
    """A batch_norm and the relu after it: the same numbers, with fewer passes over memory."""

    def __init__(self, norm: BatchNorm, relu: Layer) -> None:
        self.norm, self._relu = norm, relu

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self.norm.path

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return relu of the norm's output, and what each saved, or both together."""
        if not is_apart():
            y, saved = self.norm.forward(x, train=train, relu=True)
            return y, (saved,)
        between, first = self.norm.forward(x, train=train)
        y, second = self._relu.forward(between, train=train)
        return y, (first, second)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx, and add dgamma and dbeta."""
        if len(saved) == 1:
            return self.norm.backward(dy, saved[0], relu=True)
        return self.norm.backward(self._relu.backward(dy, saved[1]), saved[0])

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add dgamma and dbeta."""
        self.backward(dy, saved)


class ConvNorm:
    """A conv2d, the batch_norm after it and maybe a relu after that: one convolution, when evaluating."""

    def __init__(self, conv: Conv2d, norm: BatchNorm | NormRelu) -> None:
        self._conv, self._relu = conv, isinstance(norm, NormRelu)
        self._norm = norm.norm if isinstance(norm, NormRelu) else norm

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self._conv.path

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, None]:
        """Return what the last layer returns when evaluating: train is None."""
        return self._conv.evaluate(x, self._norm, self._relu), None
