"""Depthwise convolution with one kernel a channel: products of vectors of channels, whose sums stay in registers.

As `gpucnn.cpu.depthwise`, where there are as many kernels as channels. Work is counted in units: a band of some rows of
outputs of one image, whose inputs are copied with their padding into the second-level cache. Images of fewer channels
than a vector holds are given channels of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.blocks import slices, summed
from gpucnn.cpu.compiled import depthwise_loops
from gpucnn.cpu.compiled.images import flat
from gpucnn.cpu.compiled.vectors import LANES, mode_of
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty, zeros
from gpucnn.cpu.threads import run
from gpucnn.ops.phases import phases
from gpucnn.ops.window import Window

BAND_BYTES = 1 << 18
"""How large the inputs of a unit are, about: a part of the second-level cache."""

BLOCK_BYTES = 1 << 20
"""How large a block's results are: enough for waking another thread to pay."""

_WORK = Callable[[slice], None]


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array, relu: bool = False) -> None:
    """Write the correlation of x (N, H, W, C) with w (C, R, S, 1), plus b, or relu of it, to y (N, P, Q, C)."""
    if len(w) < LANES:
        out = empty((*y.shape[:3], LANES))
        forward(_wide(x), _wide(w.T).T, None if b is None else _wide(b), window, out, relu)
        y[...] = out[..., : len(w)]
        return
    blocks, correlate = _blocks(y.shape), _correlation(x, w, b, window, y, relu)
    run(lambda i: correlate(blocks[i]), len(blocks))


def backward_data(dy: Array, w: Array, x_shape: Shape, window: Window) -> Array:
    """Return dx (N, H, W, C) for dy (N, P, Q, C) and w (C, R, S, 1): all phases of a stride, while an image is near."""
    c = len(w)
    if c < LANES:
        return contiguous(backward_data(_wide(dy), _wide(w.T).T, (*x_shape[:3], LANES), window)[..., :c])
    dx, blocks = empty(x_shape), _blocks(x_shape)
    parts = [(dx[:, rows, columns], kernels, dense) for rows, columns, kernels, dense in phases(w, dy.shape, window, c)]
    whole = sum(part.size for part, _, _ in parts) == dx.size
    correlations = [_correlation(dy, kernels, None, dense, part, False) for part, kernels, dense in parts]

    def work(i: int) -> None:
        if not whole:
            dx[blocks[i]] = 0
        for correlate in correlations:
            correlate(blocks[i])

    run(work, len(blocks))
    return dx


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (C, R, S, 1), the correlation of x with dy (N, P, Q, C)."""
    c, r, s, _ = w_shape
    if c < LANES:
        return contiguous(backward_weight(_wide(x), _wide(dy), (LANES, r, s, 1), window)[:c])
    geometry, held = _geometry(window, c), _held(window, c)
    across = next(n for n in range(min(s, depthwise_loops.SUMS), 0, -1) if s % n == 0)
    numbers, loops = (x.reshape(-1), x.shape[1:], dy.reshape(-1), dy.shape[1:]), depthwise_loops.backward_of(across)
    blocks, tail = _blocks(dy.shape), c % LANES

    def add(i: int, total: Array) -> None:
        units = (blocks[i].start * geometry[1], blocks[i].stop * geometry[1])
        loops(*numbers, empty((held,)), total, units, geometry)

    dw = summed(add, len(blocks), (r, s, -(-c // LANES) * LANES))
    if tail:  # the last vector begins earlier than it is written
        dw[..., c - tail : c] = dw[..., dw.shape[2] - tail :]
    return contiguous(dw[..., :c].transpose(2, 0, 1)).reshape(w_shape)


def _correlation(x: Array, w: Array, b: Array | None, window: Window, y: Array, relu: bool) -> _WORK:
    """Return what writes the correlation of some images of x with w, plus b, to those of y, or its relu."""
    c, geometry, held = len(w), _geometry(window, len(w)), _held(window, len(w))
    taps, bias = contiguous(w[..., 0].transpose(1, 2, 0)), np.zeros(c, np.float32) if b is None else contiguous(b)
    numbers, (out, strides), mode = x.reshape(-1), flat(y), mode_of(y, relu)

    def correlate(images: slice) -> None:
        units = (images.start * geometry[1], images.stop * geometry[1])
        to = out, y.shape[1:], strides
        depthwise_loops.forward(numbers, x.shape[1:], taps, bias, *to, empty((held,)), mode, units, geometry)

    return correlate


def _wide(x: Array) -> Array:
    """Return an array with channels of zeros, so that there is a vector of them."""
    out = zeros((*x.shape[:-1], LANES))
    out[..., : x.shape[-1]] = x
    return out


def _geometry(window: Window, channels: int) -> tuple[int, ...]:
    """Return rows of outputs in a unit, units of an image, how the window lies, and columns of a unit's inputs."""
    (sh, sw), (dh, dw), (p, q) = window.stride, window.dilation, window.output
    columns = (q - 1) * sw + (window.kernel[1] - 1) * dw + 1
    bands = -(-p // max(1, min(p, BAND_BYTES // (4 * channels * sh * columns))))
    return (-(-p // bands), bands, sh, sw, dh, dw, window.pads[0][0], window.pads[1][0], columns)


def _held(window: Window, channels: int) -> int:
    """Return how many numbers the inputs of a unit are, with their padding."""
    rows, _, sh, _, dh, _, _, _, columns = _geometry(window, channels)
    return ((rows - 1) * sh + (window.kernel[0] - 1) * dh + 1) * columns * channels


def _blocks(y_shape: Shape) -> list[slice]:
    return slices(y_shape[0], 4 * math.prod(y_shape[1:]), BLOCK_BYTES)
