"""Batch normalisation and what stands around it at once, by the kernels in batch_norm.cu.

Arguments and results are those of `gpucnn.ops.batch_norm_activation`.
"""

from __future__ import annotations

from typing import Any

from gpucnn.backend import Array
from gpucnn.cuda import batch_norm
from gpucnn.cuda.activation import Named, end_of, tells_by_output
from gpucnn.dispatch import NotApplicable

_Saved = tuple[tuple[Array, Array, Array, Array], Array, tuple[Array, Array] | None, Named | None, bool]


def batch_norm_activation_train(
    x: Array, gamma: Array, beta: Array, eps: float, function: Named | None, z: Array | None, running: Any
) -> tuple[Array, Array, Array, _Saved]:
    """Return f(v + z), the batch's mean and variance, and what backward needs."""
    require(function, z is not None)
    return trained(x, gamma, beta, batch_norm.statistics(x, gamma, eps, running), function, z)


def trained(
    x: Array, gamma: Array, beta: Array, found: batch_norm.Statistics, function: Named | None, z: Array | None
) -> tuple[Array, Array, Array, _Saved]:
    """Return what `batch_norm_activation_train` does, by the statistics of x that are found."""
    mean, var, inverse = found
    y = batch_norm.normalised(x, gamma, beta, mean, inverse, z, end_of(function))
    kept = (y, y) if function and tells_by_output(function) else None
    return y, mean, var, ((x, mean, inverse, gamma), beta, kept, function, z is not None)


def batch_norm_activation_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float, function: Named | None, z: Array | None
) -> Array:
    """Return f(v + z) for statistics that are given."""
    return batch_norm.batch_norm_eval(x, gamma, beta, mean, var, eps, z, end_of(function))


def batch_norm_activation_backward(dy: Array, saved: _Saved) -> tuple[Array, Array, Array, Array | None]:
    """Return dx, dgamma, dbeta, and dz where z was added; f' is found anew from x where it was not."""
    of_norm, beta, kept, function, z = saved
    require(function, z)
    dx, dgamma, dbeta, g = batch_norm.gradients(dy, of_norm, beta, kept[1] if z and kept else None, end_of(function))
    return dx, dgamma, dbeta, g if z else None


def require(function: Named | None, z: bool) -> None:
    """Raise NotApplicable where no kernel ends with f, or where z is added and f' is not to be had from y."""
    end_of(function)
    if z and function is not None and not tells_by_output(function):
        raise NotApplicable("the derivative would need v + z")
