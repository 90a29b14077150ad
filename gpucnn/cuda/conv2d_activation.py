"""A convolution whose kernels end with an activation, and what stands behind that on the way back."""

from __future__ import annotations

from gpucnn.backend import Array, array_module
from gpucnn.cuda.activation import Named, tells_by_output
from gpucnn.cuda.conv2d import task_of
from gpucnn.cuda.ending import ending
from gpucnn.cuda.geometry import Window
from gpucnn.cuda.plans import compute
from gpucnn.dispatch import NotApplicable


def conv2d_activation(
    x: Array, w: Array, b: Array | None, function: Named, window: Window, groups: int
) -> tuple[Array, tuple[Array, Array]]:
    """Return y = f(x * w + b), and it again for the backward pass."""
    if not tells_by_output(function):
        raise NotApplicable("the derivative needs what comes before the activation")
    task = task_of("forward", x, x.shape, w.shape, window, groups)
    y: Array = array_module(x).empty(task.y_shape, x.dtype)
    compute(task, {"x": x, "w": w, "b": b, "y": y}, ending(function))
    return y, (y, y)
