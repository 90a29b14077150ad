"""The loops of depthwise convolution: see `gpucnn.cpu.compiled.depthwise`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.compiled.images import hold
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.compiled.vectors import ADD, LANES, WIDE, contract_channels

COLUMNS, FEW = WIDE, WIDE // 2
"""How many outputs of a row are computed at a time, sums enough that none waits for the one before; in short rows."""

SUMS = 12
"""How many sums of the gradient are kept in registers at most."""


def _outputs_of(count: int) -> Any:
    @compiled
    def outputs(
        x: Array, begin: int, strides: Shape, taps: Array, bias: Array, y: Array, there: int, step: int, mode: int
    ) -> None:
        """Write so many outputs of a row."""
        (right, down, beside), (r, s, c) = strides, taps.shape
        lane = 0
        while lane < c:
            at = min(lane, c - LANES)
            if lane + 2 * LANES <= c:
                contract_channels(
                    count, 2, bias, at, x, begin + at, right, down, beside,
                    taps, at, s * c, c, r, s, mode, y, there + at, step,
                )  # fmt: skip
                lane += 2 * LANES
            else:
                contract_channels(
                    count, 1, bias, at, x, begin + at, right, down, beside,
                    taps, at, s * c, c, r, s, mode, y, there + at, step,
                )  # fmt: skip
                lane += LANES

    return outputs


_many, _few, _one = _outputs_of(COLUMNS), _outputs_of(FEW), _outputs_of(1)


@compiled
def forward(
    x: Array, x_size: Shape, taps: Array, bias: Array, y: Array, y_size: Shape, strides: Shape,
    held: Array, mode: int, units: Shape, geometry: Shape,
) -> None:  # fmt: skip
    """Compute some units of y with taps (R, S, C)."""
    (rows, bands, sh, sw, dh, dw, top, left, columns), (r, _, c) = geometry, taps.shape
    (p, q, _), (yn, yp, yq, _) = y_size, strides
    size, steps = COLUMNS if q >= COLUMNS else FEW if q >= FEW else 1, (sw * c, dh * columns * c, dw * c)
    for unit in range(units[0], units[1]):
        first = unit % bands * rows
        last = min(p, first + rows)
        hold(
            x, x_size, unit // bands, top - first * sh, left, held, (last - first - 1) * sh + (r - 1) * dh + 1, columns
        )
        for row in range(first, last):
            for next_column in range(0, q, size):
                column = min(next_column, q - size)
                here, there = (
                    ((row - first) * sh * columns + column * sw) * c,
                    unit // bands * yn + row * yp + column * yq,
                )
                if size == COLUMNS:
                    _many(held, here, steps, taps, bias, y, there, yq, mode)
                elif size == FEW:
                    _few(held, here, steps, taps, bias, y, there, yq, mode)
                else:
                    _one(held, here, steps, taps, bias, y, there, yq, mode)


@functools.cache
def backward_of(across: int) -> Any:
    """Return the loops for kernels whose rows are a multiple of so many taps."""
    wide = max(1, min(2, SUMS // across))

    @compiled
    def backward(
        x: Array, x_size: Shape, dy: Array, dy_size: Shape, held: Array, total: Array, units: Shape, geometry: Shape
    ) -> None:
        """Add what some units give to total (R, S, whole vectors), where the last has the last LANES channels."""
        (rows, bands, sh, sw, dh, dw, top, left, columns), (p, q, c) = geometry, dy_size
        (r, s, broad), line, zero = total.shape, columns * c, np.zeros(wide * LANES, np.float32)
        for unit in range(units[0], units[1]):
            first = unit % bands * rows
            n = min(p, first + rows) - first
            hold(x, x_size, unit // bands, top - first * sh, left, held, (n - 1) * sh + (r - 1) * dh + 1, columns)
            given, lane = (unit // bands * p + first) * q * c, 0
            while lane < c:
                vectors = wide if lane + wide * LANES <= c else 1
                at = min(lane, c - LANES)
                for i in range(r):
                    for j in range(0, s, across):
                        a, o = i * dh * line + j * dw * c + at, (i * s + j) * broad + lane
                        if vectors == wide:
                            contract_channels(
                                across, wide, zero, 0, held, a, dw * c, sh * line, sw * c,
                                dy, given + at, q * c, c, n, q, ADD, total, o, broad,
                            )  # fmt: skip
                        else:
                            contract_channels(
                                across, 1, zero, 0, held, a, dw * c, sh * line, sw * c,
                                dy, given + at, q * c, c, n, q, ADD, total, o, broad,
                            )  # fmt: skip
                lane += vectors * LANES

    return backward
