"""A convolution whose kernels and bias have taken in the batch normalisation after it, and relu in its last step."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import require_float32
from gpucnn.cpu.conv2d import compiled_form
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.dispatch import NotApplicable
from gpucnn.ops.activation import RELU, Function
from gpucnn.ops.add import add
from gpucnn.ops.window import Window


def conv2d_batch_norm_eval(
    x: Array,
    w: Array,
    b: Array | None,
    norm: tuple[Array, Array, Array, Array, float],
    function: Function | None,
    z: Array | None,
    window: Window,
    groups: int,
) -> Array:
    """Return the norm of the convolution, or f of that; norm: gamma, beta, mean, var and eps."""
    require_float32(x, w, b)
    loops = compiled_form(x.shape, w.shape, window, groups)
    if loops is None:
        raise NotApplicable("by compiled loops only")
    gamma, beta, mean, var, eps = norm
    scale = gamma / np.sqrt(var + np.float32(eps))
    shift = beta - (mean if b is None else mean - b) * scale
    y = empty((len(x), *window.output, len(w)))
    loops.forward(contiguous(x), w * scale[:, None, None, None], shift, window, y, function == RELU and z is None)
    if z is not None:
        y = add(y, z)
    return y if function is None or (function == RELU and z is None) else function.forward(y)
