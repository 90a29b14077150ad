"""Batch normalisation and the relu after it by compiled loops, whose last pass takes the relu in."""

from __future__ import annotations

from typing import Any

from gpucnn.backend import Array
from gpucnn.cpu.blocks import require_float32
from gpucnn.cpu.compiled import module
from gpucnn.dispatch import NotApplicable
from gpucnn.ops import batch_norm
from gpucnn.ops.activation import RELU, Function
from gpucnn.ops.batch_norm_activation import Running, Saved


def batch_norm_activation_train(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    function: Function | None,
    z: Array | None,
    running: Running | None,
) -> tuple[Array, Array, Array, Saved]:
    """Return relu(v), mean, var, and what the backward pass needs."""
    y, mean, var, saved = _loops(x, function, z).train(x, gamma, beta, eps, relu=True)
    if running is not None:
        running.take(mean, var, x.size // x.shape[-1])
    return y, mean, var, Saved(batch_norm.Saved(*saved), beta, (y, y), function, z=False)


def batch_norm_activation_eval(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    eps: float,
    function: Function | None,
    z: Array | None,
) -> Array:
    """Return relu(v) for statistics that are given."""
    y: Array = _loops(x, function, z).evaluate(x, gamma, beta, mean, var, eps, relu=True)
    return y


def batch_norm_activation_backward(dy: Array, saved: Saved) -> tuple[Array, Array, Array, None]:
    """Return dx, dgamma and dbeta."""
    loops = _loops(dy, saved.function, dy if saved.z else None)
    return *loops.backward(dy, saved.norm, saved.beta, relu=True), None


def _loops(x: Array, function: Function | None, z: Array | None) -> Any:
    require_float32(x)
    loops = module("batch_norm")
    if loops is None or function != RELU or z is not None:
        raise NotApplicable("by compiled loops only, and with relu alone")
    return loops
