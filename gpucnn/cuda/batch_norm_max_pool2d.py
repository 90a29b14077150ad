"""Batch normalisation and the maxima after it at once, by the kernels in batch_norm_max_pool2d.cu.

Arguments and results are those of `gpucnn.ops.batch_norm_max_pool2d`.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda import batch_norm
from gpucnn.cuda.conv2d_batch_norm import with_statistics
from gpucnn.cuda.geometry import Window, geometry
from gpucnn.cuda.launch import THREADS, blocks, launch
from gpucnn.cuda.sums import new_parts, parts_of
from gpucnn.dispatch import NotApplicable

_Saved = tuple[tuple[Array, Array, Array, Array], Array, Array, Any]
"""What backward needs: that of the norm, beta, where the maxima stood, and the window."""


def batch_norm_max_pool2d_train(
    x: Array, gamma: Array, beta: Array, eps: float, window: Window, relu: bool, running: Any
) -> tuple[Array, _Saved]:
    """Return y, and what backward needs."""
    _require_bytes(window)
    return _trained(x, gamma, beta, batch_norm.statistics(x, gamma, eps, running), window, relu)


def conv2d_batch_norm_max_pool2d_train(
    x: Array,
    w: Array,
    b: Array | None,
    norm: tuple[Array, Array, float],
    pool: Window,
    relu: bool,
    running: Any,
    window: Window,
    groups: int,
) -> tuple[Array, _Saved]:
    """Return y of the convolution, and what backward needs; norm: gamma, beta and eps."""
    _require_bytes(pool)
    gamma, beta, eps = norm
    v, found = with_statistics(x, w, b, gamma, eps, running, window, groups)
    return _trained(v, gamma, beta, found, pool, relu)


def _trained(
    x: Array, gamma: Array, beta: Array, found: batch_norm.Statistics, window: Window, relu: bool
) -> tuple[Array, _Saved]:
    xp, shape = array_module(x), (len(x), *window.output, x.shape[3])
    mean, _, inverse = found
    y, index = xp.empty(shape, x.dtype), xp.empty(shape, np.uint8)
    numbers: dict[str, Any] = {"gamma": gamma, "beta": beta, "mean": mean, "inverse": inverse}
    g = geometry(x.shape, x.shape[3], window)
    launch("batch_norm_max_pool2d_forward", blocks(y.size), x=x, **numbers, y=y, index=index, g=g, relu=int(relu))
    return y, ((x, mean, inverse, gamma), beta, index, window)


def batch_norm_max_pool2d_backward(dy: Array, saved: _Saved) -> tuple[Array, Array, Array]:
    """Return dx, dgamma and dbeta."""
    (x, mean, inverse, gamma), _, index, window = saved
    _require_bytes(window)
    c, xp = x.shape[3], array_module(x)
    g = geometry(x.shape, c, window)
    pieces = parts_of(dy.size // c, c)
    parts: dict[str, Any] = {name: new_parts(dy, pieces, c) for name in ("sums", "products")}
    given: dict[str, Any] = {"dy": dy, "index": index, "x": x, "mean": mean}
    launch("batch_norm_max_pool2d_part_sums", (-(-c // THREADS), pieces), **given, **parts, g=g)
    grads: dict[str, Any] = batch_norm.added(parts, inverse)
    dx = xp.empty(x.shape, x.dtype)
    launch("batch_norm_max_pool2d_backward", blocks(x.size), **given, inverse=inverse, gamma=gamma, **grads, dx=dx, g=g)
    return dx, grads["dgamma"], grads["dbeta"]


def _require_bytes(window: Window) -> None:
    if prod(window.kernel) > 255:
        raise NotApplicable("the place in a window would need more than a byte")
