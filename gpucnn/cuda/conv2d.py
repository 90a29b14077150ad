"""Convolution: each pass by the plan that `gpucnn.cuda.plans` chooses for it.

Arguments are those of `gpucnn.ops.conv2d` once they are checked: arrays, the window, groups.
"""

from __future__ import annotations

from gpucnn import numerics
from gpucnn.backend import Array, Shape, array_module
from gpucnn.cuda.geometry import Window
from gpucnn.cuda.machine import architecture
from gpucnn.cuda.plans import Pass, Task, canonical, compute
from gpucnn.halves import accumulator


def conv2d(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> Array:
    """Return y (N, P, Q, K) for x (N, H, W, C), w (K, R, S, C/groups) and b (K,) or None."""
    task = task_of("forward", x, x.shape, w.shape, window, groups)
    y: Array = array_module(x).empty(task.y_shape, x.dtype)
    compute(task, {"x": x, "w": w, "b": b, "y": y})
    return y


def conv2d_backward_data(
    dy: Array, w: Array, x_shape: Shape, window: Window, groups: int, z: Array | None = None
) -> Array:
    """Return dx (N, H, W, C) for dy (N, P, Q, K) and w; z, an array such as dx, is added at the end."""
    dx: Array = array_module(dy).empty(x_shape, dy.dtype)
    compute(task_of("backward_data", dy, x_shape, w.shape, window, groups), {"dy": dy, "w": w, "z": z, "dx": dx})
    return dx


def conv2d_backward_data_added(dy: Array, w: Array, z: Array, window: Window, groups: int) -> Array:
    """Return dx + z."""
    return conv2d_backward_data(dy, w, z.shape, window, groups, z)


def conv2d_backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window, groups: int) -> Array:
    """Return dw (K, R, S, C/groups) for x and dy; float32 where these are halves."""
    dw: Array = array_module(x).empty(w_shape, accumulator(x.dtype))
    compute(task_of("backward_weight", x, x.shape, w_shape, window, groups), {"x": x, "dy": dy, "dw": dw})
    return dw


def task_of(which: Pass, like: Array, x_shape: Shape, w_shape: Shape, window: Window, groups: int) -> Task:
    """Return a pass as a task, for arrays such as `like`, computed as `gpucnn.numerics` says now."""
    return Task(
        which, tuple(x_shape), tuple(w_shape), canonical(window), groups, like.dtype.name, numerics.current(),
        architecture(like),
    )  # fmt: skip
