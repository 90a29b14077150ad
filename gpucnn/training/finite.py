"""Infinities and NaNs: seen before they reach the weights, and traced to where they first arise.

Looking for them costs one pass over the gradients; only once one is seen is every array looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gpucnn import ops
from gpucnn.backend import Array
from gpucnn.halves import is_half
from gpucnn.layers.base import Layer, Parameter
from gpucnn.layers.fused import apart
from gpucnn.model import Model
from gpucnn.random import Step


def all_finite(arrays: Iterable[Array]) -> bool:
    """Return whether every element of every array is finite.

    >>> import numpy as np
    >>> all_finite([np.full(3, 1e30, np.float32)]), all_finite([np.array([0.0, np.nan])])
    (True, False)
    """
    arrays = list(arrays)
    return not arrays or int(ops.count_nonfinite(*arrays)[0]) == 0


def gradients(params: Mapping[str, Parameter]) -> dict[str, Array]:
    """Return the gradients of the parameters that have one."""
    return {path: p.grad for path, p in params.items() if p.grad is not None}


def first_in_forward(model: Model, x: Array, step: Step) -> str | None:
    """Return in words where, in a forward pass of this step, a value first is not finite; None where none is.

    Looked at: the parameters, the batch, then what each layer returns. The pass changes running statistics.
    """
    for path, parameter in model.params.items():
        if count := _bad(parameter.value):
            return _words(f"parameter {path}", count, parameter.value)
    if count := _bad(x):
        return _words("the images of the batch", count, x)
    try:
        with apart(), _watched(model.layers.walk()):
            model.forward(x, train=step)
    except _Found as found:
        return str(found)
    return None


def first_gradient(params: Mapping[str, Parameter]) -> str | None:
    """Return in words which gradient is not finite, the first one in the order of the backward pass."""
    for path, grad in reversed(gradients(params).items()):
        if count := _bad(grad):
            return _words(f"the gradient of {path}", count, grad)
    return None


class _Found(Exception):  # noqa: N818 - found what was looked for
    """A layer's output that is not finite."""


@contextmanager
def _watched(layers: Iterable[Layer]) -> Iterator[None]:
    """While entered, the first of the layers to return a value that is not finite raises _Found."""
    watched = list(layers)
    for layer in watched:
        vars(layer)["forward"] = _watching(layer.path or layer.name, layer.forward)  # hides the class's method
    try:
        yield
    finally:
        for layer in watched:
            del vars(layer)["forward"]


def _watching(path: str, forward: Callable[..., tuple[Array, Any]]) -> Callable[..., tuple[Array, Any]]:
    def watching(*args: Any, **kwargs: Any) -> tuple[Array, Any]:
        y, saved = forward(*args, **kwargs)
        if count := _bad(y):
            raise _Found(_words(f"the output of layer {path}", count, y))
        return y, saved

    return watching


def _bad(array: Array) -> int:
    """Return how many elements are infinite or not a number."""
    if array.dtype.kind != "f" and not is_half(array):
        return 0
    return int(ops.count_nonfinite(array)[0])


def _words(what: str, count: int, array: Array) -> str:
    return f"{what} ({count:,} of {array.size:,} elements)"
