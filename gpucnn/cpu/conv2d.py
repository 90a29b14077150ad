"""Convolution and its gradients, each shape by what is fastest for it: see the modules that `_form` names."""

from __future__ import annotations

import math
from typing import Any

from gpucnn.backend import Array, Shape
from gpucnn.cpu import compiled, dense, depthwise, patches, pointwise, winograd
from gpucnn.cpu.blocks import require_float32
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty, zeros
from gpucnn.numerics import exact
from gpucnn.ops.phases import phases
from gpucnn.ops.window import Window


def conv2d(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> Array:
    """Return y (N, P, Q, K) for x (N, H, W, C), w (K, R, S, C/groups) and b (K,) or None."""
    require_float32(x, w, b)
    if _is_dense(window, groups):
        product: Array = dense.dense(_rows(x), _rows(w), b)
        return product.reshape(len(x), 1, 1, len(w))
    y = empty((len(x), *window.output, len(w)))
    _correlate(contiguous(x), w, b, window, groups, y)
    return y


def conv2d_backward_data(dy: Array, w: Array, x_shape: Shape, window: Window, groups: int) -> Array:
    """Return dx (N, H, W, C) for dy (N, P, Q, K) and w."""
    require_float32(dy, w)
    if _is_dense(window, groups):
        product: Array = dense.dense_backward_data(_rows(dy), _rows(w))
        return product.reshape(x_shape)
    dy, one = contiguous(dy), window.stride == (1, 1)
    if groups > 1 and w.shape[3] == 1:
        at_once = depthwise.backward_data(dy, w, x_shape, window)
        if at_once is not None:
            return at_once
    dx = empty(x_shape) if one and w.size else zeros(x_shape)
    for rows, columns, kernels, unit in phases(w, dy.shape, window, groups):
        _correlate(dy, kernels, None, unit, groups, dx[:, rows, columns])
    return dx


def conv2d_backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window, groups: int) -> Array:
    """Return dw (K, R, S, C/groups) for x and dy."""
    require_float32(x, dy)
    if _is_dense(window, groups):
        product: Array = dense.dense_backward_weight(_rows(x), _rows(dy))
        return product.reshape(w_shape)
    x, dy = contiguous(x), contiguous(dy)
    if groups == 1:
        whole: Array = _form(w_shape, window).backward_weight(x, dy, w_shape, window)
        return whole
    if w_shape[3] == 1:
        return depthwise.backward_weight(x, dy, w_shape, window)
    dw, of_one = empty(w_shape), (w_shape[0] // groups, *w_shape[1:])
    for inputs, outputs in _groups(w_shape, groups):
        part = contiguous(x[..., inputs]), contiguous(dy[..., outputs])
        dw[outputs] = _form(of_one, window).backward_weight(*part, of_one, window)
    return dw


def compiled_form(x_shape: Shape, w_shape: Shape, window: Window, groups: int) -> Any:
    """Return the module of compiled loops that computes such a convolution at once, None where there is none."""
    if groups > 1:
        return depthwise.loops_for(w_shape, x_shape) if w_shape[3] == 1 else None
    form = _form(w_shape, window)
    return form if form.__package__ == compiled.__name__ else None


def _correlate(x: Array, w: Array, b: Array | None, window: Window, groups: int, y: Array) -> None:
    """Write the correlation of x, contiguous, with w to y, which may be a view."""
    if groups == 1:
        _form(w.shape, window).forward(x, w, b, window, y)
    elif w.shape[3] == 1:
        depthwise.forward(x, w, b, window, y)
    else:
        for inputs, outputs in _groups(w.shape, groups):
            part = w[outputs]
            bias = None if b is None else b[outputs]
            _form(part.shape, window).forward(contiguous(x[..., inputs]), part, bias, window, y[..., outputs])


def _form(w_shape: Shape, window: Window) -> Any:
    """Return the module that computes an ungrouped convolution of this shape."""
    transforms = not exact() and winograd.suits(w_shape, window)
    if direct := compiled.module("direct"):
        if transforms:
            return compiled.module("winograd")
        if direct.suits(w_shape, window):
            return direct
    if pointwise.suits(window):
        return pointwise
    return winograd if transforms else patches


def _is_dense(window: Window, groups: int) -> bool:
    """Return whether kernels are as large as images and lie upon them once: a dense layer, on views."""
    once = window.output == (1, 1) and window.pads == ((0, 0), (0, 0))
    return once and groups == 1 and window.kernel == window.input


def _rows(array: Array) -> Array:
    """Return each item's numbers as a row."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


def _groups(w_shape: Shape, groups: int) -> list[tuple[slice, slice]]:
    """Return the channels in and out of each group."""
    k, depth = w_shape[0] // groups, w_shape[3]
    return [(slice(g * depth, (g + 1) * depth), slice(g * k, (g + 1) * k)) for g in range(groups)]
