"""A convolution whose kernels end with the batch normalisation after it, another array and an activation."""

from __future__ import annotations

from gpucnn.backend import Array, array_module
from gpucnn.cuda.activation import Named
from gpucnn.cuda.conv2d import task_of
from gpucnn.cuda.ending import ending
from gpucnn.cuda.geometry import Window
from gpucnn.cuda.launch import blocks, launch
from gpucnn.cuda.plans import compute


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
