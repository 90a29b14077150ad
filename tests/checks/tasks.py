"""Tasks of convolutions, written as tests write convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn import numerics
from gpucnn.backend import Shape
from gpucnn.cuda.conv2d import task_of
from gpucnn.cuda.plans import Pass, Task
from gpucnn.ops.window import Window

PASSES: tuple[Pass, ...] = ("forward", "backward_data", "backward_weight")


def task(
    which: Pass, x_shape: Shape, w_shape: Shape, dtype: str = "float32", how: numerics.Numerics = "exact", **window: Any
) -> Task:
    """Return a pass of a convolution as a task of the CPU's build of the kernels; window: stride, padding, dilation."""
    groups = x_shape[3] // w_shape[3]
    with numerics.using(how):
        seen = Window.over(x_shape[1:3], w_shape[1:3], **window)
        return task_of(which, np.empty(0, dtype), x_shape, w_shape, seen, groups)
