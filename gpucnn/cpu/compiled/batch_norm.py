"""Batch normalisation, and a relu after it, in as few passes over memory as there can be.

As `gpucnn.cpu.batch_norm`. Forward reads x for its statistics, then again, and writes y; backward reads dy and x for
both sums, then again, and writes dx. Which elements relu let pass is computed anew from x, to the same bits.

Arrays (N, ..., C) are cut into pieces that stay in the second-level cache. Several rows of C numbers are handled as a
long one, the channels' numbers repeated. Each piece has its own mean and sum of squared deviations from that; they are
merged in float64, as T. Chan et al. do it, Stanford report STAN-CS-79-773: nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import slices
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run

LENGTH = 1024
"""About how many numbers a long row has."""

PIECE = 1 << 16
"""About how many numbers a piece has: 256 KB."""

PIECES = 4
"""How many pieces a thread takes at a time: enough for waking another one to pay."""


def train(
    x: Array, gamma: Array, beta: Array, eps: float, relu: bool
) -> tuple[Array, Array, Array, tuple[Array, Array, Array, Array]]:
    """Return y, or relu(y), mean (C,), var (C,), and (x, mean, 1 / sqrt(var + eps), gamma)."""
    x = contiguous(x)
    pieces, flat = _Pieces(x), x.reshape(-1)
    means, squares = pieces.found(), pieces.found()
    pieces.each(lambda own, part: _moments(flat[part], pieces.size, pieces.width, means[own], squares[own]))
    share = (pieces.rows / pieces.rows.sum())[:, None]
    middle = (share * means).sum(axis=0)
    spread = (squares / pieces.rows.sum() + share * (means - middle) ** 2).sum(axis=0)
    mean, var = middle.astype(np.float32), spread.astype(np.float32)
    inverse = (1.0 / np.sqrt(var + np.float32(eps))).astype(np.float32)
    return _scaled(x, mean, gamma * inverse, beta, relu), mean, var, (x, mean, inverse, gamma)


def evaluate(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float, relu: bool) -> Array:
    """Return y, or relu(y), for statistics that are given."""
    return _scaled(contiguous(x), mean, gamma / np.sqrt(var + np.float32(eps)), beta, relu)


def backward(
    dy: Array, saved: tuple[Array, Array, Array, Array], beta: Array, relu: bool
) -> tuple[Array, Array, Array]:
    """Return dx, dgamma (C,) and dbeta (C,); beta is looked at where a relu followed."""
    x, mean, inverse, gamma = saved
    dy, x = contiguous(dy), contiguous(x)
    pieces, dx, scale = _Pieces(x), empty(x.shape), gamma * inverse
    given, seen, out = dy.reshape(-1), x.reshape(-1), dx.reshape(-1)
    sums, products, rows = pieces.found(), pieces.found(), pieces.long(mean, scale, beta)
    pieces.each(
        lambda own, part: _sums(given[part], seen[part], rows, _floor(relu), pieces.size, sums[own], products[own])
    )
    dbeta, dgamma = sums.sum(axis=0, dtype=np.float64), products.sum(axis=0, dtype=np.float64) * inverse
    slope, shift = (-scale * part / pieces.rows.sum() for part in (inverse * dgamma, dbeta))
    rows = pieces.long(mean, scale, beta, slope, shift)
    pieces.each(lambda own, part: _gradients(given[part], seen[part], rows, _floor(relu), out[part]))
    return dx, dgamma.astype(np.float32), dbeta.astype(np.float32)


def _scaled(x: Array, mean: Array, scale: Array, beta: Array, relu: bool) -> Array:
    """Return (x - mean) scale + beta, or its relu."""
    y, pieces = empty(x.shape), _Pieces(x)
    seen, out, rows = x.reshape(-1), y.reshape(-1), pieces.long(mean, scale, beta)
    pieces.each(lambda own, part: _scale(seen[part], rows, _floor(relu), out[part]))
    return y


def _floor(relu: bool) -> np.float32:
    """Return what no output is below: 0 after relu."""
    return np.float32(0 if relu else -np.inf)


class _Pieces:
    """How arrays of the shape of x are cut: into pieces of `rows` rows, of `size` numbers each but the last one.

    width: of a long row.
    """

    def __init__(self, x: Array) -> None:
        self._channels, count = x.shape[-1], x.size // x.shape[-1]
        self._repeat = max(1, LENGTH // self._channels)
        self.width = self._repeat * self._channels
        rows = self._repeat * max(1, PIECE // self.width)
        self.size, self.rows = rows * self._channels, np.minimum(rows, count - np.arange(0, count, rows))

    def found(self) -> Array:
        """Return memory for a number of each piece and channel."""
        return empty((len(self.rows), self._channels))

    def long(self, *channels: Array) -> Array:
        """Return numbers of the channels, (C,) each, as long rows, one below the other."""
        return np.tile(np.stack(channels).astype(np.float32, copy=False), self._repeat)

    def each(self, work: Callable[[slice, slice], object]) -> None:
        """Call work(pieces, numbers) for slices that together are all pieces, and the numbers in them."""
        groups = slices(len(self.rows), 1, PIECES)
        run(lambda i: work(groups[i], slice(groups[i].start * self.size, groups[i].stop * self.size)), len(groups))


@compiled
def _moments(x: Array, size: int, width: int, means: Array, squares: Array) -> None:
    """Write the mean and the sum of squared deviations from it of each piece of x and each channel."""
    channels = means.shape[1]
    total, middle = np.empty(width, np.float32), np.empty(width, np.float32)
    for j in range(len(means)):
        piece = x[j * size : min(x.size, (j + 1) * size)]
        total[:] = np.float32(0)
        for start in range(0, piece.size, width):
            row = piece[start : min(piece.size, start + width)]
            for z in range(row.size):
                total[z] += row[z]
        _fold(total, means[j])
        means[j] /= np.float32(piece.size // channels)
        for z in range(width):
            middle[z] = means[j, z % channels]
        total[:] = np.float32(0)
        for start in range(0, piece.size, width):
            row = piece[start : min(piece.size, start + width)]
            for z in range(row.size):
                total[z] += (row[z] - middle[z]) * (row[z] - middle[z])
        _fold(total, squares[j])


@compiled
def _scale(x: Array, rows: Array, floor: np.float32, y: Array) -> None:
    """Write (x - mean) scale + beta, where it is not below the floor."""
    mean, scale, beta = rows[0], rows[1], rows[2]
    for start in range(0, x.size, mean.size):
        row, out = x[start : min(x.size, start + mean.size)], y[start : min(x.size, start + mean.size)]
        for z in range(row.size):
            value = (row[z] - mean[z]) * scale[z] + beta[z]
            out[z] = floor if value < floor else value


@compiled
def _sums(dy: Array, x: Array, rows: Array, floor: np.float32, size: int, sums: Array, products: Array) -> None:
    """Write the sums of dy, and of dy (x - mean), of each piece and each channel: dy where relu let pass."""
    mean, scale, beta = rows[0], rows[1], rows[2]
    total, product = np.empty(mean.size, np.float32), np.empty(mean.size, np.float32)
    for j in range(len(sums)):
        total[:], product[:] = np.float32(0), np.float32(0)
        end = min(x.size, (j + 1) * size)
        for start in range(j * size, end, mean.size):
            row, given = x[start : min(end, start + mean.size)], dy[start : min(end, start + mean.size)]
            for z in range(row.size):
                deviation = row[z] - mean[z]
                gradient = given[z] if deviation * scale[z] + beta[z] > floor else np.float32(0)
                total[z] += gradient
                product[z] += gradient * deviation
        _fold(total, sums[j])
        _fold(product, products[j])


@compiled
def _gradients(dy: Array, x: Array, rows: Array, floor: np.float32, dx: Array) -> None:
    """Write dx = dy scale + (x - mean) slope + shift: dy where relu let pass."""
    mean, scale, beta, slope, shift = rows[0], rows[1], rows[2], rows[3], rows[4]
    for start in range(0, x.size, mean.size):
        end = min(x.size, start + mean.size)
        row, given, out = x[start:end], dy[start:end], dx[start:end]
        for z in range(row.size):
            deviation = row[z] - mean[z]
            gradient = given[z] if deviation * scale[z] + beta[z] > floor else np.float32(0)
            out[z] = gradient * scale[z] + deviation * slope[z] + shift[z]


@compiled
def _fold(row: Array, channels: Array) -> None:
    """Write the sums of a long row's numbers of each channel."""
    channels[:] = np.float32(0)
    for start in range(0, row.size, channels.size):
        for c in range(channels.size):
            channels[c] += row[start + c]
