"""Convolution as sums of products, straight from the images: no matrix of patches is ever laid out.

What `gpucnn.cpu.patches` and `gpucnn.cpu.pointwise` compute. Of an output, the inputs that meet one row of the kernel
lie side by side, S*C numbers, and those of the next output are a few numbers further: `contract` takes its factors from
where they are. Work is counted in units: a band of some rows of outputs of one image, whose inputs are copied with
their padding, where there is any.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu import pointwise
from gpucnn.cpu.blocks import summed
from gpucnn.cpu.compiled import direct_loops
from gpucnn.cpu.compiled.direct_loops import SLACK
from gpucnn.cpu.compiled.images import flat
from gpucnn.cpu.compiled.vectors import LANES, NARROW, TALL, mode_of
from gpucnn.cpu.compiled.work import blocks
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.ops.window import Window

BAND_BYTES = 1 << 17
"""How large the inputs of a unit are, about: a part of the second-level cache."""


def suits(w_shape: Shape, window: Window) -> bool:
    """Return whether such a convolution is computed here: its taps lie side by side in rows of images."""
    return math.prod(w_shape) > 0 and (window.dilation[1] == 1 or w_shape[2] == 1)


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array, relu: bool = False) -> None:
    """Write the correlation of x (N, H, W, C) with w (K, R, S, C) to y (N, P, Q, K), plus b (K,), or relu of that."""
    k, r, s, _ = w.shape
    if pointwise.suits(window) and y.flags.c_contiguous:
        x, y, window = _line(x), _line(y), _row(window)
    cut = _Cut.of(x.shape, w.shape, window, copied=window.output[1] < NARROW)
    kernels, bias = _panels(w), np.zeros(_up(k, LANES), np.float32)
    if b is not None:
        bias[:k] = b
    numbers, (out, strides), mode = x.reshape(-1), flat(y), mode_of(y, relu)

    def work(i: int) -> None:
        block, held, beside = cut.blocks[i], empty((cut.held,)), empty((NARROW * LANES,))
        images = numbers, x.shape[1:], kernels, (r, s), bias, out, y.shape[1:], strides
        direct_loops.forward(*images, held, beside, mode, (block.start, block.stop), cut.geometry)

    run(work, len(cut.blocks))


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (K, R, S, C), the correlation of x with dy (N, P, Q, K)."""
    k, r, s, c = w_shape
    if pointwise.suits(window):
        x, dy, window = _line(x), _line(dy), _row(window)
    few = s * c if s * c <= TALL else 0
    total = (r, few or _up(s * c, NARROW), _up(k, LANES))
    cut = _Cut.of(x.shape, w_shape, window, copied=True, sums=math.prod(total))
    images, loops = (x.reshape(-1), x.shape[1:], dy.reshape(-1), dy.shape[1:]), direct_loops.backward_of(few)

    def add(i: int, total: Array) -> None:
        block, held, gradients = cut.blocks[i], empty((cut.held,)), empty((cut.outputs * total.shape[2],))
        loops(*images, held, gradients, total, (block.start, block.stop), cut.geometry)

    turned = summed(add, len(cut.blocks), total)[:, : s * c, :k]
    return np.ascontiguousarray(turned.transpose(2, 0, 1)).reshape(w_shape)


def _up(count: int, step: int) -> int:
    """Return a number, rounded up to a multiple of `step`."""
    return -(-count // step) * step


def _panels(w: Array) -> Array:
    """Return kernels (K, ...) as matrices (..., 2 * LANES), and one of (..., LANES) where that holds what is left of K.

    Behind the last of K are zeros.
    """
    k, taps = len(w), math.prod(w.shape[1:])
    rows = w.reshape(k, taps)
    if k % LANES:
        rows = np.concatenate([rows, np.zeros((-k % LANES, taps), np.float32)])
    out, whole = empty((rows.size,)), len(rows) // (2 * LANES) * 2 * LANES
    out[: whole * taps].reshape(-1, taps, 2 * LANES)[...] = rows[:whole].reshape(-1, 2 * LANES, taps).swapaxes(1, 2)
    out[whole * taps :].reshape(taps, len(rows) - whole)[...] = rows[whole:].T
    return out


def _line(x: Array) -> Array:
    """Return images as images of one row."""
    return x.reshape(len(x), 1, x.shape[1] * x.shape[2], x.shape[3])


def _row(window: Window) -> Window:
    """Return a pointwise window over images of one row."""
    size = (1, math.prod(window.input))
    return replace(window, input=size, output=size)


@dataclass(frozen=True)
class _Cut:
    """How work is cut. geometry: rows of outputs in a unit, units of an image, and how the window lies.

    held: numbers of a unit's inputs with padding; 0 where they are taken from the images themselves. outputs: positions
    of a unit.
    """

    held: int
    outputs: int
    geometry: tuple[int, ...]
    blocks: list[slice]

    @staticmethod
    def of(x_shape: Shape, w_shape: Shape, window: Window, copied: bool, sums: int = 0) -> _Cut:
        """Cut the work on images of this shape. copied: inputs are, even where there is no padding."""
        (n, _, width, c), (p, q), ((top, _), (left, _)) = x_shape, window.output, window.pads
        (sh, sw), dh, r = window.stride, window.dilation[0], w_shape[1]
        direct = not copied and not any(map(any, window.pads))
        columns = width if direct else (q - 1) * sw + w_shape[2]
        bands = -(-p // max(1, min(p, BAND_BYTES // (4 * c * sh * columns))))
        rows = -(-p // bands)
        held = 0 if direct else (((rows - 1) * sh + (r - 1) * dh + 1) * columns + SLACK * sw) * c
        parts = blocks(n * bands, rows * q * math.prod(w_shape), sums)
        return _Cut(held, rows * q, (rows, bands, sh, sw, dh, top, left, columns), parts)
