"""Batch normalisation by the kernels in batch_norm.cu. Arguments and results are those of `gpucnn.ops.batch_norm`."""

from __future__ import annotations

from typing import Any

from gpucnn.backend import Array, array_module
from gpucnn.cuda.activation import IDENTITY, End
from gpucnn.cuda.launch import launch
from gpucnn.cuda.spread import sizes, spread, strips
from gpucnn.cuda.sums import new_parts, parts_of

Statistics = tuple[Array, Array, Array]
"""mean, var and 1 / sqrt(var + eps), (C,) each."""


def batch_norm_train(
    x: Array, gamma: Array, beta: Array, eps: float
) -> tuple[Array, Array, Array, tuple[Array, Array, Array, Array]]:
    """Return y, the batch's mean and variance, and (x, mean, 1 / sqrt(var + eps), gamma)."""
    mean, var, inverse = statistics(x, gamma, eps)
    return normalised(x, gamma, beta, mean, inverse), mean, var, (x, mean, inverse, gamma)


def batch_norm_eval(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    eps: float,
    z: Array | None = None,
    end: End = IDENTITY,
) -> Array:
    """Return y for statistics that are given. z, end: as in `normalised`."""
    y: Array = array_module(x).empty(x.shape, x.dtype)
    arrays: dict[str, Any] = {"gamma": gamma, "beta": beta, "mean": mean, "var": var, "z": z, "y": y}
    launch("batch_norm_eval", spread(x, end), x=x, **arrays, **sizes(x), **end, eps=eps)
    return y


def batch_norm_backward(dy: Array, saved: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return dx, dgamma and dbeta."""
    return gradients(dy, saved, saved[3])[:3]


def statistics(x: Array, gamma: Array, eps: float, running: Any = None) -> Statistics:
    """Return the batch's statistics; running: takes them in."""
    rows, channels = sizes(x).values()
    pieces = parts_of(rows, channels)
    means, squares = (new_parts(x, pieces, channels) for _ in range(2))
    launch("batch_norm_part_statistics", (strips(x, IDENTITY), pieces), x=x, means=means, squares=squares, **sizes(x))
    return merged(x, gamma, means, squares, -(-rows // pieces), eps, running)


def merged(x: Array, gamma: Array, means: Array, squares: Array, size: int, eps: float, running: Any) -> Statistics:
    """Return the statistics of x (rows, C) from those of its parts of `size` rows, (pieces, C) each."""
    found: dict[str, Any] = {
        name: array_module(x).empty(gamma.shape, gamma.dtype) for name in ("mean", "var", "inverse")
    }
    kept: dict[str, Any] = {"running_mean": None, "running_var": None, "momentum": 0.0}
    if running is not None:
        kept = {"running_mean": running.mean, "running_var": running.var, "momentum": running.momentum}
    numbers: dict[str, Any] = {**sizes(x), "pieces": len(means), "size": size, "eps": eps}
    launch("batch_norm_merge_statistics", _columns(gamma), means=means, squares=squares, **found, **kept, **numbers)
    return found["mean"], found["var"], found["inverse"]


def normalised(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    inverse: Array,
    z: Array | None = None,
    end: End = IDENTITY,
) -> Array:
    """Return f(v + z), by what the batch is normalised with. end: the activation's number, `function`, and `a`."""
    y: Array = array_module(x).empty(x.shape, x.dtype)
    arrays: dict[str, Any] = {"gamma": gamma, "beta": beta, "mean": mean, "inverse": inverse, "z": z, "y": y}
    launch("batch_norm_train", spread(x, end), x=x, **arrays, **sizes(x), **end)
    return y


def gradients(
    dy: Array,
    saved: tuple[Array, Array, Array, Array],
    beta: Array,
    y: Array | None = None,
    end: End = IDENTITY,
) -> tuple[Array, Array, Array, Array]:
    """Return dx, dgamma, dbeta, and g, which is dy behind the activation, given y where another array was added."""
    (x, mean, inverse, gamma), xp = saved, array_module(dy)
    channels: dict[str, Any] = {"mean": mean, "inverse": inverse, "gamma": gamma, "beta": beta}
    pieces = parts_of(*sizes(x).values())
    parts: dict[str, Any] = {name: new_parts(dy, pieces, len(gamma)) for name in ("sums", "products")}
    g = None if y is None else xp.empty(dy.shape, dy.dtype)
    launch(
        "batch_norm_part_sums", (strips(x, end), pieces), dy=dy, x=x, y=y, g=g, **channels, **parts, **sizes(x), **end
    )
    grads = added(parts, inverse)
    if g is not None:
        dy, end = g, IDENTITY
    dx = xp.empty(dy.shape, dy.dtype)
    launch("batch_norm_backward", spread(x, end), dy=dy, x=x, **channels, **grads, dx=dx, **sizes(x), **end)
    return dx, grads["dgamma"], grads["dbeta"], dy


def added(parts: dict[str, Any], inverse: Array) -> dict[str, Any]:
    """Return dgamma and dbeta, given the parts (pieces, C) of `sums` of g and of its `products` with deviations."""
    names, pieces = ("dgamma", "dbeta"), len(parts["sums"])
    grads: dict[str, Any] = {name: array_module(inverse).empty(inverse.shape, inverse.dtype) for name in names}
    launch("batch_norm_add_sums", _columns(inverse), inverse=inverse, C=len(inverse), pieces=pieces, **parts, **grads)
    return grads


def _columns(of_channels: Array) -> tuple[int]:
    """Return the grid in which parts are put together: 8 channels a block."""
    return (-(-of_channels.size // 8),)
