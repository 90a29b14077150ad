"""Both gradients of a convolution at once, where a plan computes them so and is faster than one after the other."""

from __future__ import annotations

from gpucnn.backend import Array, array_module
from gpucnn.cuda import plans
from gpucnn.cuda.conv2d import task_of
from gpucnn.cuda.geometry import Window
from gpucnn.dispatch import NotApplicable
from gpucnn.halves import accumulator


def conv2d_gradients(
    x: Array, dy: Array, w: Array, z: Array | None, window: Window, groups: int
) -> tuple[Array, Array]:
    """Return dx, or dx + z, and dw, which is float32 for halves.

    Raises NotApplicable where one after the other is faster, or the shapes do not fit.
    """
    task = task_of("both_gradients", x, x.shape, w.shape, window, groups)
    plan = plans.chosen(task) if len(plans.candidates(task)) > 1 else None
    if plan is None or plan.family == "apart":
        raise NotApplicable("dx and dw are computed by themselves")
    xp = array_module(x)
    dx, dw = xp.empty(x.shape, x.dtype), xp.empty(w.shape, accumulator(x.dtype))
    plans.families()[plan.family].run(plan, task, {"x": x, "dy": dy, "w": w, "z": z, "dx": dx, "dw": dw})
    return dx, dw
