"""The loops of Winograd's convolutions: see `gpucnn.cpu.compiled.winograd`.

Transformed numbers are a*a matrices (tiles, channels), with room for `whole` numbers of both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from gpucnn.backend import Array, Shape
from gpucnn.cpu.compiled.images import hold
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.compiled.transforms import outputs, transform
from gpucnn.cpu.compiled.vectors import ADD, LANES, NARROW, WIDE, WRITE, clear, contract
from gpucnn.cpu.winograd_matrices import M

STEP: int = max(LANES, NARROW)
"""Rows and channels of matrices are multiples of this."""


@register_jitable  # type: ignore[untyped-decorator]  # numba has no types
def whole(count: int) -> int:
    """Return a number of channels or tiles, rounded up to what `contract` computes at a time."""
    return (count + STEP - 1) // STEP * STEP


@compiled
def _multiply(data: Array, kernels: Array, products: Array, matrices: int, tiles: int, c: int, k: int) -> None:
    """Write data (matrices, tiles, C) times kernels (matrices, C, K), in panels, to products (matrices, tiles, K)."""
    deep, broad, zero = whole(c), whole(k), np.zeros(2 * LANES, np.float32)
    for i in range(matrices):
        x, w, y = i * (len(data) // matrices), i * (len(kernels) // matrices), i * (len(products) // matrices)
        for lane in range(0, broad, 2 * LANES):
            u, out = w + lane * c, y + lane
            if broad - lane > LANES:
                for t in range(0, tiles, WIDE):
                    a, o = x + t * deep, out + t * broad
                    contract(
                        WIDE, 2, zero, 0, data, a, deep, 0, 1, kernels, u, 0, 2 * LANES, 1, c, WRITE, products, o, broad
                    )
            else:
                for t in range(0, tiles, NARROW):
                    a, o = x + t * deep, out + t * broad
                    contract(
                        NARROW, 1, zero, 0, data, a, deep, 0, 1, kernels, u, 0, LANES, 1, c, WRITE, products, o, broad
                    )


@compiled
def _add_products(data: Array, gradients: Array, total: Array, tiles: int) -> None:
    """Add the transpose of gradients (matrices, tiles, K) times data (matrices, tiles, C) to total (matrices, K, C)."""
    (matrices, broad, deep), zero = total.shape, np.zeros(2 * LANES, np.float32)
    for i in range(matrices):
        x, dy, out = i * (len(data) // matrices), i * (len(gradients) // matrices), i * broad * deep
        for lane in range(0, deep, 2 * LANES):
            b = x + lane
            if deep - lane > LANES:
                for k in range(0, broad, WIDE):
                    o = out + k * deep + lane
                    contract(
                        WIDE, 2, zero, 0, gradients, dy + k, 1, 0, broad,
                        data, b, 0, deep, 1, tiles, ADD, total, o, deep,
                    )  # fmt: skip
            else:
                for k in range(0, broad, NARROW):
                    o = out + k * deep + lane
                    contract(
                        NARROW, 1, zero, 0, gradients, dy + k, 1, 0, broad,
                        data, b, 0, deep, 1, tiles, ADD, total, o, deep,
                    )  # fmt: skip


def _forward_of(r: int) -> Any:
    a = M + r - 1

    @compiled
    def forward(
        x: Array, x_size: Shape, kernels: Array, bias: Array, y: Array, y_size: Shape, strides: Shape,
        mode: int, held: Array, data: Array, products: Array, geometry: Shape,
    ) -> None:  # fmt: skip
        """Compute units start .. stop - 1."""
        start, stop, together, rows, bands, top, left = geometry
        (p, q, k), c, (yn, yp, yq, _) = y_size, x_size[2], strides
        across = (q + M - 1) // M
        line, deep, broad = (M * across + r - 1) * c, whole(c), whole(k)
        data_size, product_size = len(data) // a**2, len(products) // a**2
        for first in range(start, stop, together):
            last, tile = min(stop, first + together), 0
            for unit in range(first, last):
                above = top - unit % bands * rows * M
                hold(x, x_size, unit // bands, above, left, held, M * rows + r - 1, M * across + r - 1)
                for i in range(rows):
                    for j in range(across):
                        here, there = M * i * line + M * j * c, tile * deep
                        for lane in range(0, c, LANES):
                            at = min(lane, c - LANES)
                            transform("data", r, held, here + at, line, c, data, there + at, a * data_size, data_size)
                        tile += 1
            _multiply(data, kernels, products, a**2, tile, c, k)
            tile = 0
            for unit in range(first, last):
                for i in range(rows):
                    row = M * (unit % bands * rows + i)
                    for j in range(across):
                        here, there = tile * broad, unit // bands * yn + row * yp + M * j * yq
                        if row < p:
                            for lane in range(0, k, LANES):
                                at = min(lane, k - LANES)
                                outputs(
                                    r, products, here + at, a * product_size, product_size,
                                    bias, at, y, there + at, yp, yq, p - row, q - M * j, mode,
                                )  # fmt: skip
                        tile += 1

    return forward


def _backward_of(r: int) -> Any:
    a = M + r - 1

    @compiled
    def backward(
        x: Array, x_size: Shape, dy: Array, dy_size: Shape,
        held: Array, data: Array, gradients: Array, total: Array, geometry: Shape,
    ) -> None:  # fmt: skip
        """Add what units start .. stop - 1 give to total (a*a, K, C)."""
        start, stop, together, rows, bands, top, left = geometry
        (_, q, k), c = dy_size, x_size[2]
        across = (q + M - 1) // M
        deep, broad = whole(c), whole(k)
        data_size, gradient_size = len(data) // a**2, len(gradients) // a**2
        if c < deep or k < broad:  # what no channel writes is summed too
            clear(data, 0, len(data))
            clear(gradients, 0, len(gradients))
        for first in range(start, stop, together):
            tile = 0
            for unit in range(first, min(stop, first + together)):
                row, columns = unit % bands * rows * M, M * across + r - 1
                hold(x, x_size, unit // bands, top - row, left, held, M * rows + r - 1, columns)
                for i in range(rows):
                    for j in range(across):
                        here, there = (M * i * columns + M * j) * c, (tile + i * across + j) * deep
                        for lane in range(0, c, LANES):
                            at = min(lane, c - LANES)
                            transform(
                                "data", r, held, here + at, columns * c, c, data, there + at, a * data_size, data_size
                            )
                columns = M * across
                hold(dy, dy_size, unit // bands, -row, 0, held, M * rows, columns)
                for i in range(rows):
                    for j in range(across):
                        here, there = (M * i * columns + M * j) * k, tile * broad
                        for lane in range(0, k, LANES):
                            at = min(lane, k - LANES)
                            transform(
                                "gradient", r, held, here + at, columns * k, k,
                                gradients, there + at, a * gradient_size, gradient_size,
                            )  # fmt: skip
                        tile += 1
            _add_products(data, gradients, total, tile)

    return backward


def _kernels_of(r: int) -> Any:
    a = M + r - 1

    @compiled
    def kernels(w: Array, out: Array) -> None:
        """Write G w G^T of w (r, r, C, K) to out, in panels."""
        _, _, c, k = w.shape
        size = len(out) // a**2
        for lane in range(0, k, LANES):
            panel = lane // (2 * LANES) * 2 * LANES
            width = min(2 * LANES, k - panel)
            for i in range(c):
                there = panel * c + i * width + lane - panel
                transform("taps", r, w, i * k + lane, r * c * k, c * k, out, there, a * size, size)

    return kernels


def _kernel_gradient_of(r: int) -> Any:
    a = M + r - 1

    @compiled
    def gradient(products: Array, dw: Array) -> None:
        """Write G^T S G of S (a*a, K, C) to dw (K, r, r, C)."""
        _, broad, deep = products.shape
        k, _, _, c = dw.shape
        for i in range(k):
            for lane in range(0, c, LANES):
                at = min(lane, c - LANES)
                size = broad * deep
                transform("kernels", r, products, i * deep + at, a * size, size, dw, i * r * r * c + at, r * c, c)

    return gradient


FORWARD, BACKWARD, KERNELS, KERNEL_GRADIENT = (
    {r: made(r) for r in (3, 5)} for made in (_forward_of, _backward_of, _kernels_of, _kernel_gradient_of)
)
"""The loops for kernels of r x r, by r."""
