"""The loops of convolution as sums of products: see `gpucnn.cpu.compiled.direct`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.compiled.images import hold
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.compiled.vectors import ADD, LANES, NARROW, RELU, WIDE, WRITE, clear, contract, copy

SLACK = NARROW
"""How many positions too far `contract` may read, whose results nobody takes."""

LONG = 64
"""From how many numbers on those of a kernel's row are summed by themselves: long sums round more."""


@compiled
def _source(
    x: Array, size: Shape, held: Array, unit: int, rows_of_outputs: int, r: int, geometry: Shape
) -> tuple[Array, int]:
    """Return where the inputs of a unit are, an array and an offset: in the images, or copied with their padding."""
    rows, bands, sh, sw, dh, top, left, columns = geometry
    image, row = unit // bands, unit % bands * rows * sh
    if not len(held):
        return x, (image * size[0] + row) * columns * size[2]
    slack = SLACK * sw * size[2]
    hold(x, size, image, top - row, left, held, (rows_of_outputs - 1) * sh + (r - 1) * dh + 1, columns)
    clear(held, len(held) - slack, slack)
    return held, 0


@compiled
def forward(
    x: Array, x_size: Shape, kernels: Array, kernel: Shape, bias: Array, y: Array, y_size: Shape, strides: Shape,
    held: Array, beside: Array, mode: int, units: Shape, geometry: Shape,
) -> None:  # fmt: skip
    """Compute some units of y."""
    (r, s), (rows, bands, sh, sw, dh, _, _, columns) = kernel, geometry
    (p, q, k), c, (yn, yp, yq, _) = y_size, x_size[2], strides
    line, taps, zero = columns * c, s * c, np.zeros(2 * LANES, np.float32)
    parts, m = (r, 1) if taps >= LONG else (1, r)
    written = mode if parts == 1 else mode & RELU
    for unit in range(units[0], units[1]):
        first = unit % bands * rows
        last = min(p, first + rows)
        source, start = _source(x, x_size, held, unit, last - first, r, geometry)
        for lane in range(0, k, 2 * LANES):
            wide = k - lane > LANES
            width, size = (2 * LANES, WIDE) if wide else (LANES, NARROW)
            whole = q >= size and k - lane >= width
            for row in range(first, last):
                there = unit // bands * yn + row * yp + lane
                for next_column in range(0, q, size):
                    column = max(0, min(next_column, q - size))
                    out, o, step = (y, there + column * yq, yq) if whole else (beside, 0, width)
                    for part in range(parts):
                        a = start + ((row - first) * sh + part * dh) * line + column * sw * c
                        w = (lane * r + part * width) * taps
                        begin, e, now = (zero, 0, ADD) if part else (bias, lane, WRITE)
                        if part == parts - 1:
                            now |= written if whole else written & RELU
                        if wide:
                            contract(
                                WIDE, 2, begin, e, source, a, sw * c, dh * line, 1,
                                kernels, w, taps * width, width, m, taps, now, out, o, step,
                            )  # fmt: skip
                        else:
                            contract(
                                NARROW, 1, begin, e, source, a, sw * c, dh * line, 1,
                                kernels, w, taps * width, width, m, taps, now, out, o, step,
                            )  # fmt: skip
                    if not whole:
                        for i in range(min(q, size)):
                            copy(beside, i * width, y, there + (column + i) * yq, min(width, k - lane))


@functools.cache
def backward_of(few: int) -> Any:
    """Return the loops for a row of the kernel of this many numbers; 0: for a multiple of NARROW."""
    wide_rows, narrow_rows = few or WIDE, few or NARROW

    @compiled
    def backward(
        x: Array, x_size: Shape, dy: Array, dy_size: Shape, held: Array, gradients: Array, total: Array,
        units: Shape, geometry: Shape,
    ) -> None:  # fmt: skip
        """Add what some units give to total (R, S*C, K). Both sides are copied: they are read again and again."""
        (rows, bands, sh, sw, dh, _, _, columns), (p, q, k), c = geometry, dy_size, x_size[2]
        r, taps, broad = total.shape
        line, zero = columns * c, np.zeros(2 * LANES, np.float32)
        if k < broad:
            clear(gradients, 0, len(gradients))
        for unit in range(units[0], units[1]):
            first = unit % bands * rows
            n = min(p, first + rows) - first
            source, start = _source(x, x_size, held, unit, n, r, geometry)
            given, copies = (unit // bands * p + first) * q * k, 1 if k == broad else n * q
            for i in range(copies):
                copy(dy, given + i * k, gradients, i * broad, n * q * k // copies)
            for lane in range(0, broad, 2 * LANES):
                wide = broad - lane > LANES
                for i in range(r):
                    for tap in range(0, taps, wide_rows if wide else narrow_rows):
                        a, o = start + i * dh * line + tap, (i * taps + tap) * broad + lane
                        if wide:
                            contract(
                                wide_rows, 2, zero, 0, source, a, 1, sh * line, sw * c,
                                gradients, lane, q * broad, broad, n, q, ADD, total, o, broad,
                            )  # fmt: skip
                        else:
                            contract(
                                narrow_rows, 1, zero, 0, source, a, 1, sh * line, sw * c,
                                gradients, lane, q * broad, broad, n, q, ADD, total, o, broad,
                            )  # fmt: skip

    return backward
