"""Winograd's convolutions, each block of work in one call: transforms, products, transforms, in the second-level cache.

What `gpucnn.cpu.winograd` computes, see there and in `winograd_matrices`. Work is counted in units: a band of some rows
of tiles of one image. A unit is copied with its padding, transformed tile by tile, a vector of channels at a time; the
a*a products are taken for some units together, as many as fill the cache; results go straight to where they belong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.blocks import summed
from gpucnn.cpu.compiled.images import flat
from gpucnn.cpu.compiled.vectors import mode_of
from gpucnn.cpu.compiled.winograd_loops import BACKWARD, FORWARD, KERNEL_GRADIENT, KERNELS, whole
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


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array, relu: bool = False) -> None:
    """Write the correlation of x (N, H, W, C) with w (K, r, r, C) to y (N, P, Q, K), plus b (K,), or relu of that."""
    k, r, _, c = w.shape
    cut = _Cut.of(len(x), w.shape, window)
    kernels, bias = _kernels(w), np.zeros(k, np.float32) if b is None else np.ascontiguousarray(b)
    images, (out, strides), mode = (x.reshape(-1), x.shape[1:]), flat(y), mode_of(y, relu)
    rooms = (cut.room(c),), (cut.room(k),), (cut.held(c),)

    def work(i: int) -> None:
        data, products, held = map(empty, rooms)
        places = out, y.shape[1:], strides, mode
        FORWARD[r](*images, kernels, bias, *places, held, data, products, cut.geometry(i))

    run(work, len(cut.blocks))


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (K, r, r, C), the correlation of x with dy (N, P, Q, K)."""
    k, r, _, c = w_shape
    cut, shape = _Cut.of(len(x), w_shape, window, sums=True), ((M + r - 1) ** 2, whole(k), whole(c))
    images = x.reshape(-1), x.shape[1:], dy.reshape(-1), dy.shape[1:]
    rooms = (cut.room(c),), (cut.room(k),), (cut.held(max(c, k)),)

    def add(i: int, total: Array) -> None:
        data, gradients, held = map(empty, rooms)
        BACKWARD[r](*images, held, data, gradients, total, cut.geometry(i))

    products = summed(add, len(cut.blocks), shape)
    dw = empty(w_shape)
    KERNEL_GRADIENT[r](products, dw)
    return dw


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
    KERNELS[r](turned, out)
    return out
