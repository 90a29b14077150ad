"""Depthwise convolution with one kernel a channel, tap by tap, by compiled loops: see `compiled.depthwise`."""

from __future__ import annotations

import math

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.blocks import slices, summed
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.ops.window import Window

LENGTH = 1024
"""About how many numbers a row of repeated kernels has: those of 3x3 are 36 KB, most of the first-level cache."""

BLOCK_BYTES = 1 << 20
"""How large a block's outputs are: enough for waking another thread to pay."""

PLANES_BYTES = 1 << 18
"""How large those rows of an image are that are laid out at a time: they stay in the second-level cache."""


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array) -> None:
    """Write the correlation of x (N, H, W, C) with w (C, R, S, 1) to y (N, P, Q, C), which may be a view, plus b."""
    from gpucnn.cpu.compiled import depthwise as loops

    (n, h, _, c), (p, q), blocks = x.shape, window.output, _blocks(y.shape)
    repeat, images = max(1, LENGTH // c), x.reshape(n, h, -1)
    taps, bias = np.tile(w[..., 0].transpose(1, 2, 0), repeat), np.zeros(repeat * c, np.float32)
    if b is not None:
        bias.reshape(repeat, c)[...] = b

    def work(i: int) -> None:
        seen = y[blocks[i]]
        out = seen if seen.flags.c_contiguous else empty(seen.shape)
        whole = out.reshape(len(out), p, q * c)
        loops.forward(images[blocks[i]], taps, bias, _geometry(window), c, _planes(window, c), whole)
        if out is not seen:
            seen[...] = out

    run(work, len(blocks))


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (C, R, S, 1), the correlation of x with dy (N, P, Q, C)."""
    from gpucnn.cpu.compiled import depthwise as loops

    (c, r, s, _), (n, h), (p, q), blocks = w_shape, x.shape[:2], window.output, _blocks(dy.shape)
    repeat, images, gradients = max(1, LENGTH // c), x.reshape(n, h, -1), dy.reshape(n, p, q * c)

    def add(i: int, total: Array) -> None:
        given = images[blocks[i]], gradients[blocks[i]]
        loops.backward_weight(*given, _geometry(window), c, _planes(window, c), total)

    dw = summed(add, len(blocks), (r, s, repeat * c)).reshape(r, s, repeat, c).sum(axis=2)
    return contiguous(dw.transpose(2, 0, 1)).reshape(w_shape)


def _geometry(window: Window) -> tuple[int, ...]:
    return (*window.stride, *window.dilation, window.pads[0][0], window.pads[1][0])


def _planes(window: Window, channels: int) -> Array:
    """Return memory for as many rows of an image as are laid out at a time."""
    (sh, sw), (dh, dw), (r, s), (p, q) = window.stride, window.dilation, window.kernel, window.output
    columns, reach = q + (s - 1) * dw // sw, (r - 1) * dh + 1
    most = max(reach, PLANES_BYTES // (4 * sw * columns * channels))
    return empty((min((p - 1) * sh + reach, most), sw, columns * channels))


def _blocks(y_shape: Shape) -> list[slice]:
    return slices(y_shape[0], 4 * math.prod(y_shape[1:]), BLOCK_BYTES)
