"""Grids of kernels that go along rows, column by column: the host side of spread.cuh."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.cuda.activation import IDENTITY, End, is_long
from gpucnn.cuda.launch import THREADS

TIMES = 4
"""How many rows a thread has where there are no sums: enough to have several on their way at once."""


def sizes(x: Array) -> dict[str, int]:
    """Return how many rows and columns a kernel sees in x (N, ..., C)."""
    return {"rows": x.size // x.shape[-1], "C": x.shape[-1]}


def spread(x: Array, end: End) -> tuple[int, int]:
    """Return the grid in which a thread has about `TIMES` times its neighbouring channels: see spread.cuh."""
    rows, channels = sizes(x).values()
    across = min(THREADS, max(1, channels // _width(x, end)))
    return strips(x, end), min(65535, -(-rows // (THREADS // across * TIMES)))


def strips(x: Array, end: End = IDENTITY) -> int:
    """Return how many strips of columns there are, each a block's."""
    return -(-int(x.shape[-1]) // (THREADS * _width(x, end)))


def _width(x: Array, end: End) -> int:
    """Return how many neighbouring channels a thread has, as is_wide of spread.cuh."""
    width = 16 // int(x.itemsize)
    return 1 if x.shape[-1] % width or is_long(end) else width
