"""Activations in chunks, in threads: the same arithmetic as the reference, and the same bits."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np

from gpucnn import ops
from gpucnn.backend import Array
from gpucnn.cpu.blocks import over, require_float32
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty

CHUNK = 1 << 16
"""Numbers of a chunk of those that take several steps: 256 KB."""


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    require_float32(x)
    x, y = contiguous(x), empty(x.shape)
    given, result = x.reshape(-1), y.reshape(-1)
    over(x.size, lambda part: np.maximum(given[part], np.float32(0), out=result[part]))
    return y


def relu_backward(dy: Array, x: Array, y: Array) -> Array:
    """Return dy where y > 0, else 0."""
    require_float32(dy, y)
    dx = empty(dy.shape)
    given, seen, result = contiguous(dy).reshape(-1), contiguous(y).reshape(-1), dx.reshape(-1)

    def work(part: slice) -> None:
        positive = np.greater(seen[part], np.float32(0), out=empty((part.stop - part.start,), np.bool_))
        np.multiply(given[part], positive, out=result[part])

    over(dx.size, work)
    return dx


def tanh(x: Array) -> Array:
    """Return tanh x."""
    require_float32(x)
    x, y = contiguous(x), empty(x.shape)
    given, result = x.reshape(-1), y.reshape(-1)
    over(x.size, lambda part: np.tanh(given[part], out=result[part]), CHUNK)
    return y


def _pair(name: str) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """Return the functions NAME(x) and NAME_backward(dy, x, y): the reference's, whose steps stay in the cache."""
    forward, backward = (inspect.unwrap(getattr(ops, called)) for called in (name, f"{name}_backward"))

    def chunked(function: Callable[..., Array], arrays: tuple[Array, ...], options: dict[str, float]) -> Array:
        require_float32(*arrays)
        out = empty(arrays[0].shape)
        given, result = [contiguous(array).reshape(-1) for array in arrays], out.reshape(-1)

        def work(part: slice) -> None:
            result[part] = function(*(array[part] for array in given), **options)

        over(out.size, work, CHUNK)
        return out

    return (
        lambda x, **options: chunked(forward, (x,), options),
        lambda dy, x, y, **options: chunked(backward, (dy, x, y), options),
    )


leaky_relu, leaky_relu_backward = _pair("leaky_relu")
sigmoid, sigmoid_backward = _pair("sigmoid")
_, tanh_backward = _pair("tanh")
scaled_tanh, scaled_tanh_backward = _pair("scaled_tanh")
softplus, softplus_backward = _pair("softplus")
elu, elu_backward = _pair("elu")
gelu, gelu_backward = _pair("gelu")
silu, silu_backward = _pair("silu")
