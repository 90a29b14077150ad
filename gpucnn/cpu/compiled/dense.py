"""Dense layers by `contract`: what `gpucnn.cpu.dense` computes by BLAS, which lays both sides out anew.

Weights are the large side, and are read from memory where they are, once; images are turned so that those of a feature
lie side by side. Sums are taken of `DEPTH` products at a time, so that the images' part stays in the cache; long sums
round more, too.
"""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.compiled.vectors import ADD, LANES, WIDE, WRITE, contract
from gpucnn.cpu.compiled.work import blocks
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run

PANEL = 2 * LANES
"""Images that are computed at a time."""

DEPTH = 256
"""Products that are summed at a time: a panel of so many features is in the first-level cache."""


SMALLEST = 1 << 23
"""Products below which BLAS is as fast."""


def suits(images: int, weights: int) -> bool:
    """Return whether there is enough to do, and images leave no more than a quarter of the last panels free.

    >>> suits(4 * PANEL, 1 << 10), suits(4 * PANEL, 1 << 20), suits(PANEL + 1, 1 << 20)
    (False, True, False)
    """
    return images * weights >= SMALLEST and 4 * images >= 3 * PANEL * _panels(images)


def dense(x: Array, w: Array, b: Array | None) -> Array:
    """Return y (N, out) = x (N, in) times the transpose of w (out, in), plus b."""
    (n, k), m = x.shape, len(w)
    y, turned, bias = empty((n, m)), empty((_panels(n), k, PANEL)), np.zeros(m, np.float32) if b is None else b
    columns, rows = blocks(-(-k // DEPTH), DEPTH * PANEL * len(turned) * WIDE), blocks(-(-m // WIDE), WIDE * k * n)
    run(lambda i: _turn(x, turned, columns[i].start * DEPTH, min(k, columns[i].stop * DEPTH)), len(columns))

    def work(i: int) -> None:
        start, stop = rows[i].start * WIDE, min(m, rows[i].stop * WIDE)
        _forward(w.reshape(-1), turned, bias, y, start, stop, empty(((stop - start) * len(turned) * PANEL,)))

    run(work, len(rows))
    return y


def _panels(images: int) -> int:
    return -(-images // PANEL)


@compiled
def _turn(x: Array, turned: Array, start: int, stop: int) -> None:
    """Write columns start .. stop - 1 of x (N, in) to turned (panels, in, PANEL); behind the last image are zeros."""
    for panel in range(len(turned)):
        first = panel * PANEL
        count = min(PANEL, len(x) - first)
        for i in range(start, stop):
            for lane in range(count):
                turned[panel, i, lane] = x[first + lane, i]
            for lane in range(count, PANEL):
                turned[panel, i, lane] = np.float32(0)


@compiled
def _forward(w: Array, turned: Array, b: Array, y: Array, start: int, stop: int, sums: Array) -> None:
    """Compute features start .. stop - 1 of y; sums: memory for them, features by images."""
    panels, k, _ = turned.shape
    width, images, zero, whole = panels * PANEL, turned.reshape(-1), np.zeros(PANEL, np.float32), stop - WIDE + 1
    for first in range(0, k, DEPTH):
        depth, mode = min(DEPTH, k - first), ADD if first else WRITE
        for panel in range(panels):
            there = (panel * k + first) * PANEL
            for feature in range(start, whole, WIDE):
                a, o = feature * k + first, (feature - start) * width + panel * PANEL
                contract(WIDE, 2, zero, 0, w, a, k, 0, 1, images, there, 0, PANEL, 1, depth, mode, sums, o, width)
            for feature in range(stop - (stop - start) % WIDE, stop):
                a, o = feature * k + first, (feature - start) * width + panel * PANEL
                contract(1, 2, zero, 0, w, a, k, 0, 1, images, there, 0, PANEL, 1, depth, mode, sums, o, width)
    for image in range(len(y)):
        for feature in range(start, stop):
            y[image, feature] = sums[(feature - start) * width + image] + b[feature]
