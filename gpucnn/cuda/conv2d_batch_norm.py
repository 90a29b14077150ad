"""A convolution with the batch normalisation after it, another array and an activation.

While training, its kernels take the moments of what they write; while evaluating, they end with all of it.
"""

from __future__ import annotations

from typing import Any

from gpucnn.backend import Array, array_module
from gpucnn.cuda import batch_norm, batch_norm_activation
from gpucnn.cuda.activation import Named
from gpucnn.cuda.conv2d import task_of
from gpucnn.cuda.ending import ending
from gpucnn.cuda.geometry import Window
from gpucnn.cuda.launch import blocks, launch
from gpucnn.cuda.plans import chosen, compute, families
from gpucnn.cuda.spread import sizes
from gpucnn.cuda.sums import new_parts


def conv2d_batch_norm_train(
    x: Array,
    w: Array,
    b: Array | None,
    norm: tuple[Array, Array, float],
    function: Named | None,
    z: Array | None,
    running: Any,
    window: Window,
    groups: int,
) -> Any:
    """Return what `batch_norm_activation_train` makes of the convolution; norm: gamma, beta and eps."""
    batch_norm_activation.require(function, z is not None)
    gamma, beta, eps = norm
    task = task_of("forward", x, x.shape, w.shape, window, groups)
    plan, v = chosen(task), array_module(x).empty(task.y_shape, x.dtype)
    family, arrays = families()[plan.family], {"x": x, "w": w, "b": b, "y": v}
    if size := family.part(task, plan) if hasattr(family, "part") else 0:
        rows, channels = sizes(v).values()
        means, squares = (new_parts(v, -(-rows // size), channels) for _ in range(2))
        family.run(plan, task, arrays | {"means": means, "squares": squares})
        found = batch_norm.merged(v, gamma, means, squares, size, eps, running)
    else:
        family.run(plan, task, arrays)
        found = batch_norm.statistics(v, gamma, eps, running)
    return batch_norm_activation.trained(v, gamma, beta, found, function, z)


def conv2d_batch_norm_eval(
    x: Array,
    w: Array,
    b: Array | None,
    norm: tuple[Array, Array, Array, Array, float],
    function: Named | None,
    z: Array | None,
    window: Window,
    groups: int,
) -> Array:
    """Return f of the norm of the convolution, with z added; norm: gamma, beta, mean, var and eps."""
    gamma, beta, mean, var, eps = norm
    scale, shift = (array_module(x).empty(gamma.shape, gamma.dtype) for _ in range(2))
    end = ending(function, z, scale, shift)
    channels = {"gamma": gamma, "beta": beta, "mean": mean, "var": var, "scale": scale, "shift": shift}
    launch("batch_norm_fold", blocks(gamma.size), C=gamma.size, eps=eps, **channels)
    task = task_of("forward", x, x.shape, w.shape, window, groups)
    y: Array = array_module(x).empty(task.y_shape, x.dtype)
    compute(task, {"x": x, "w": w, "b": b, "y": y}, end)
    return y
