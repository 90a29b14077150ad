"""Two layers that are computed at once, where an operation is to be had that does both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from gpucnn.backend import Array
from gpucnn.layers.base import Layer
from gpucnn.layers.batch_norm import BatchNorm
from gpucnn.random import Step

_apart: ContextVar[bool] = ContextVar("apart", default=False)


@contextmanager
def apart() -> Iterator[None]:
    """Compute every layer by itself while entered: for those who look at what each of them returns."""
    before = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(before)


class NormRelu:
    """A batch_norm and the relu after it: the same numbers, with fewer passes over memory."""

    def __init__(self, norm: BatchNorm, relu: Layer) -> None:
        self._norm, self._relu = norm, relu

    @property
    def path(self) -> str:
        """The path of the first layer."""
        return self._norm.path

    def forward(self, x: Array, *, train: Step | None = None) -> tuple[Array, Any]:
        """Return relu of the norm's output, and what each saved, or both together."""
        if not _apart.get():
            y, saved = self._norm.forward(x, train=train, relu=True)
            return y, (saved,)
        between, first = self._norm.forward(x, train=train)
        y, second = self._relu.forward(between, train=train)
        return y, (first, second)

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx, and add dgamma and dbeta."""
        if len(saved) == 1:
            return self._norm.backward(dy, saved[0], relu=True)
        return self._norm.backward(self._relu.backward(dy, saved[1]), saved[0])

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add dgamma and dbeta."""
        self.backward(dy, saved)
