"""Convolution with stride 1 and kernels of 3x3 or 5x5 by Winograd's algorithm: see `winograd_matrices`.

All five transforms and the products are batches of small matrix products, which NumPy hands to BLAS one by one without
a copy. Images are held as (H, W, n, C) meanwhile, so that transforms run over n*C numbers in a row. A block of work is
some images and, where these are large, some rows of tiles, of a few times the size of the second-level cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.blocks import slices, summed
from gpucnn.cpu.images import place, strided
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.cpu.winograd_matrices import M, kernel_gradient, matrices, transformed_kernels
from gpucnn.ops.window import Window

BLOCK_BYTES = 1 << 22
"""How large the transformed data and outputs of a block are together: smaller ones cost more calls than they save."""

PAD = 16
"""Floats left free behind each of the a*a matrices: their distance would often be a multiple of 4 KB else, and all of
them would compete for the same lines of the cache."""

ROWS = 64
"""Rows of a matrix product: OpenBLAS has kernels that pack nothing for small ones, its fastest."""

FEWEST_CHANNELS = 16
"""With fewer, in or out, the transforms cost more than the products save."""

MOST_WASTE = 2.0
"""How many outputs tiles may have for one that is wanted; 4 (3x3) or 6.25 (5x5) multiplications are saved for one."""


def suits(w_shape: Shape, window: Window) -> bool:
    """Return whether Winograd's algorithm applies to such a convolution, and pays."""
    k, r, s, c = w_shape
    tiles = math.prod(M * -(-size // M) for size in window.output)
    return (
        r == s in (3, 5)
        and window.stride == window.dilation == (1, 1)
        and min(k, c) >= FEWEST_CHANNELS
        and tiles <= MOST_WASTE * math.prod(window.output)
    )


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array) -> None:
    """Write the correlation of x (N, H, W, C) with w (K, r, r, C) to y (N, P, Q, K), plus b (K,)."""
    kernels, blocks = transformed_kernels(w), blocks_of(len(x), w.shape, window)

    def work(i: int) -> None:
        block = blocks[i]
        block.outputs(block.products(block.data(x), kernels), b, y)

    run(work, len(blocks))


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (K, r, r, C), the correlation of x with dy (N, P, Q, K)."""
    k, r, _, c = w_shape
    blocks = blocks_of(len(x), w_shape, window)

    def add(i: int, total: Array) -> None:
        data, gradients = blocks[i].data(x), blocks[i].gradients(dy)
        total += np.matmul(data.transpose(0, 2, 1), gradients, out=empty(total.shape))

    return kernel_gradient(summed(add, len(blocks), ((M + r - 1) ** 2, c, k)), r)


def blocks_of(count: int, w_shape: Shape, window: Window) -> list[Block]:
    """Return blocks of images and rows of tiles."""
    (k, r, _, c), (rows, columns) = w_shape, (-(-size // M) for size in window.output)
    a_row = 4 * (M + r - 1) ** 2 * columns * (k + c)
    bands = slices(rows, a_row, BLOCK_BYTES)
    return [
        Block(images, slice(M * band.start, min(window.output[0], M * band.stop)), r, window)
        for images in slices(count, a_row * rows / len(bands), BLOCK_BYTES)
        for band in bands
    ]


@dataclass(frozen=True)
class Block:
    """Some images, and of each the same rows of outputs, cut into tiles of m*m outputs: the last ones are cut off."""

    images: slice
    band: slice
    r: int
    window: Window

    @property
    def n(self) -> int:
        """How many images."""
        return int(self.images.stop - self.images.start)

    @property
    def tiles(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-(self.band.stop - self.band.start) // M), -(-self.window.output[1] // M)

    @property
    def count(self) -> int:
        """How many tiles."""
        return self.n * math.prod(self.tiles)

    def data(self, x: Array) -> Array:
        """Return B^T d B of all tiles: (a*a, tiles, C)."""
        (rows, columns), n, c, bt = self.tiles, self.n, x.shape[3], matrices(self.r).data
        a, top, left = len(bt), self.window.pads[0][0] - self.band.start, self.window.pads[1][0]
        h, w = M * rows + self.r - 1, M * columns + self.r - 1
        held, line = empty((h, w, n, c)), w * n * c
        place(x[self.images], held.transpose(2, 0, 1, 3), top, left)
        first = empty((rows, a, line))
        np.matmul(bt, strided(held, (rows, a, line), (M * line, line, 1)), out=first)
        tiles = strided(first, (rows, a, columns, a, n * c), (a * line, line, M * n * c, n * c, 1))
        return self._second(bt, tiles, c)

    def gradients(self, dy: Array) -> Array:
        """Return A dY A^T of all tiles: (a*a, tiles, K)."""
        (rows, columns), n, k, at = self.tiles, self.n, dy.shape[3], matrices(self.r).gradient
        held = empty((M * rows, M * columns, n, k))
        place(dy[self.images, self.band], held.transpose(2, 0, 1, 3), 0, 0)
        first = empty((rows, len(at), M * columns * n * k))
        np.matmul(at, held.reshape(rows, M, -1), out=first)
        return self._second(at, first.reshape(rows, len(at), columns, M, n * k), k)

    def _second(self, matrix: Array, tiles: Array, channels: int) -> Array:
        """Return the other direction's transform of (rows, a, columns, ?, n*channels), as (a*a, tiles, channels)."""
        rows, a, columns, _, width = tiles.shape
        distance = self.count * channels + PAD
        out = empty((a * a, distance))
        strides = (columns * width, a * distance, width, distance, 1)
        np.matmul(matrix, tiles, out=strided(out, (rows, a, columns, a, width), strides))
        return strided(out, (a * a, self.count, channels), (distance, channels, 1))

    def products(self, data: Array, kernels: Array) -> Array:
        """Return the product of data (a*a, tiles, C) and kernels (a*a, 1, C, K): (a*a, tiles, K)."""
        (count, _, c, k), distance = kernels.shape, self.count * kernels.shape[3] + PAD
        out = strided(empty((count, distance)), (count, self.count, k), (distance, k, 1))
        piece = next(n for n in range(min(ROWS, self.count), 0, -1) if self.count % n == 0)
        np.matmul(data.reshape(count, -1, piece, c), kernels, out=out.reshape(count, -1, piece, k))
        return out

    def outputs(self, products: Array, b: Array | None, y: Array) -> None:
        """Write A^T S A + b of products S (a*a, tiles, K) to the block's place in y."""
        (rows, columns), n, k, at = self.tiles, self.n, y.shape[3], matrices(self.r).output
        a, width = at.shape[1], self.count * k
        chunk = math.gcd(width, 512)
        first, distance = empty((M, a, width + PAD)), width + PAD
        np.matmul(
            at,
            products.reshape(a, a, -1, chunk).transpose(1, 2, 0, 3),
            out=strided(first, (a, width // chunk, M, chunk), (distance, chunk, a * distance, 1)),
        )
        out, line = empty((M * rows, M * columns, n, k)), columns * n * k
        np.matmul(
            at,
            strided(first, (M, rows, columns, a, n * k), (a * distance, line, n * k, distance, 1)),
            out=strided(out, (M, rows, columns, M, n * k), (M * line, M * M * line, M * n * k, n * k, 1)),
        )
        seen = y[self.images, self.band].transpose(1, 2, 0, 3)
        np.add(out[: len(seen), : seen.shape[1]], np.float32(0) if b is None else b, out=seen)
