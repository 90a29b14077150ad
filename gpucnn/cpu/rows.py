"""Arrays (N, ..., C) seen as rows of C numbers, several of which are handled as one long row.

Operations with one number a channel would run over C numbers at a time, as few as 16; with the channels' numbers
repeated to about `LENGTH`, they run over that many.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import CHUNK, slices
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run

LENGTH = 2048
"""About how many numbers a long row has: 8 KB, a part of the first-level cache."""


class Rows:
    """x: contiguous, (N, ..., C). `count`: rows of C; `repeat`: how many make a long row."""

    def __init__(self, x: Array) -> None:
        self.x, self.channels = x, x.shape[-1]
        self.count = x.size // max(1, self.channels)
        self.repeat = next((n for n in range(max(1, LENGTH // max(1, self.channels)), 0, -1) if self.count % n == 0), 1)
        self.width = self.repeat * self.channels
        self._blocks = slices(self.count // self.repeat, self.width, CHUNK)

    def part(self, x: Array, rows: slice) -> Array:
        """Return some long rows of an array of the shape of x."""
        return x.reshape(self.count // self.repeat, self.width)[rows]

    def long(self, row: Array) -> Array:
        """Return the numbers of the channels (C,) as a long row."""
        return np.tile(row, self.repeat)

    def each(self, work: Callable[[slice], object]) -> None:
        """Call work(part) for parts that together are all long rows."""
        run(lambda i: work(self._blocks[i]), len(self._blocks))

    def sums(self, add: Callable[[slice, Array], object], sums: int = 1) -> Array:
        """Return for each channel the sum of what add(part, out) writes to out (width,) for each part: (C,).

        sums: how many sums are taken at a time; if more than one, out is (sums, width) and they are (sums, C).
        Parts are added in float64, in order.
        """
        shape = (self.width,) if sums == 1 else (sums, self.width)
        found = empty((len(self._blocks), *shape))
        run(lambda i: add(self._blocks[i], found[i]), len(self._blocks))
        total = found.reshape(len(found), sums, self.repeat, self.channels).sum(axis=(0, 2), dtype=np.float64)
        result: Array = total.astype(np.float32)
        return result[0] if sums == 1 else result
