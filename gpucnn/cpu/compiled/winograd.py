"""Winograd's convolutions, each block of work in one call: transforms, products, transforms, in the second-level cache.

What `gpucnn.cpu.winograd` computes, see there and in `winograd_matrices`. Work is counted in units: a band of some rows
of tiles of one image. A unit is copied with its padding, transformed tile by tile, a vector of channels at a time; the
a*a products are taken for some units together, as many as fill the cache; results go straight to where they belong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.extending import register_jitable

from gpucnn.backend import Array, Shape
from gpucnn.cpu.blocks import summed
from gpucnn.cpu.compiled.images import flat, hold
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.compiled.transforms import outputs, transform
from gpucnn.cpu.compiled.vectors import ADD, LANES, NARROW, WIDE, WRITE, clear, contract, far
from gpucnn.cpu.compiled.work import blocks
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.cpu.winograd_matrices import M
from gpucnn.ops.window import Window

CACHE_BYTES = 3 << 18
"""How large the transformed data and products of the units are that are handled together."""

BAND_BYTES = 1 << 17
"""How large the padded copy of a unit is, about."""

TRANSFORM = 16
"""How many multiplications of a product the transforms of a number are worth."""

PAD = 16
"""Numbers left free behind each of the a*a matrices: see `gpucnn.cpu.winograd`."""

STEP: int = max(LANES, NARROW)
"""Rows and channels of matrices are multiples of this."""


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array) -> None:
    """Write the correlation of x (N, H, W, C) with w (K, r, r, C) to y (N, P, Q, K), plus b (K,)."""
    k, r, _, c = w.shape
    cut = _Cut.of(len(x), w.shape, window)
    kernels, bias = _kernels(w), np.zeros(k, np.float32) if b is None else np.ascontiguousarray(b)
    images, (out, strides), past = (x.reshape(-1), x.shape[1:]), flat(y), int(far(y))

    def work(i: int) -> None:
        data, products, held = empty((cut.room(c),)), empty((cut.room(k),)), empty((cut.held(c),))
        places = out, y.shape[1:], strides, past
        _FORWARD[r](*images, kernels, bias, *places, held, data, products, cut.geometry(i))

    run(work, len(cut.blocks))


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (K, r, r, C), the correlation of x with dy (N, P, Q, K)."""
    k, r, _, c = w_shape
    cut, shape = _Cut.of(len(x), w_shape, window, sums=True), ((M + r - 1) ** 2, whole(k), whole(c))
    images = x.reshape(-1), x.shape[1:], dy.reshape(-1), dy.shape[1:]

    def add(i: int, total: Array) -> None:
        data, gradients, held = empty((cut.room(c),)), empty((cut.room(k),)), empty((cut.held(max(c, k)),))
        _BACKWARD[r](*images, held, data, gradients, total, cut.geometry(i))

    products = summed(add, len(cut.blocks), shape)
    dw = empty(w_shape)
    _KERNEL_GRADIENT[r](products, dw)
    return dw


@register_jitable  # type: ignore[untyped-decorator]
def whole(count: int) -> int:
    """Return a number of channels or tiles, rounded up to what `contract` computes at a time."""
    return (count + STEP - 1) // STEP * STEP


@dataclass(frozen=True)
class _Cut:
    """How work is cut. rows: of tiles in a unit; bands: units of an image; together: units whose products are taken."""

    r: int
    rows: int
    columns: int
    bands: int
    together: int
    before: tuple[int, int]
    blocks: list[slice]

    @staticmethod
    def of(count: int, w_shape: Shape, window: Window, sums: bool = False) -> _Cut:
        """Cut the work on so many images."""
        (k, r, _, c), (tall, wide) = w_shape, (-(-size // M) for size in window.output)
        numbers = (M + r - 1) ** 2
        in_cache = CACHE_BYTES // (4 * numbers * (whole(k) + whole(c)))
        bands = -(-tall // max(1, min(tall, in_cache // wide, BAND_BYTES // (4 * M * M * wide * max(k, c)))))
        rows = -(-tall // bands)
        cost = rows * wide * numbers * (k * c + TRANSFORM * (k + c))
        parts = blocks(count * bands, cost, numbers * whole(k) * whole(c) if sums else 0)
        before = (window.pads[0][0], window.pads[1][0])
        return _Cut(r, rows, wide, bands, max(1, in_cache // (rows * wide)), before, parts)

    def geometry(self, i: int) -> tuple[int, ...]:
        """Return what compiled functions are told of block i."""
        block = self.blocks[i]
        return (block.start, block.stop, self.together, self.rows, self.bands, *self.before)

    def room(self, channels: int) -> int:
        """Return how many numbers the transformed data of the units are that are handled together."""
        tiles = self.together * self.rows * self.columns
        numbers: int = whole(tiles) * whole(channels) + PAD
        return (M + self.r - 1) ** 2 * numbers

    def held(self, channels: int) -> int:
        """Return how many numbers a unit is, with its padding."""
        return (M * self.rows + self.r - 1) * (M * self.columns + self.r - 1) * channels


def _kernels(w: Array) -> Array:
    """Return G w G^T for w (K, r, r, C): a*a matrices, each as panels (C, 2 * LANES), the last maybe (C, LANES)."""
    k, r, _, c = w.shape
    turned = np.zeros((r, r, c, whole(k)), np.float32)
    turned[..., :k] = w.transpose(1, 2, 3, 0)
    out = empty(((M + r - 1) ** 2 * (c * whole(k) + PAD),))
    _KERNELS[r](turned, out)
    return out


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
        past: int, held: Array, data: Array, products: Array, geometry: Shape,
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
                                    bias, at, y, there + at, yp, yq, p - row, q - M * j, past,
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


_FORWARD, _BACKWARD, _KERNELS, _KERNEL_GRADIENT = (
    {r: made(r) for r in (3, 5)} for made in (_forward_of, _backward_of, _kernels_of, _kernel_gradient_of)
)
