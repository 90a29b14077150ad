"""Sums over rows in a fixed order, by the kernels in sums.cu."""

from __future__ import annotations

from gpucnn.backend import Array, Shape, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.halves import accumulator

TERMS = 512
"""How many terms of a long sum are one part's, where no other bound holds."""

MOST_PARTS = 256

MOST_NUMBERS = 2**22
"""How many numbers the parts of all sums may be together; beyond, the sums alone keep a GPU busy."""


COLUMNS = 32
"""How many columns a block sums over the rows of its part, as in columns.cuh."""


def strips(columns: int, pieces: int) -> tuple[int, int]:
    """Return the grid of a reduction over the rows of so many columns, in so many parts."""
    return -(-columns // COLUMNS), pieces


def parts_of(terms: int, sums: int) -> int:
    """Return in how many parts each of `sums` sums of so many terms is taken: by these numbers alone, on every device.

    >>> parts_of(100, 64), parts_of(100_000, 64), parts_of(100_000, 1_000_000)
    (1, 196, 4)
    """
    return max(1, min(-(-terms // TERMS), MOST_PARTS, MOST_NUMBERS // max(1, sums)))


def new_parts(like: Array, pieces: int, sums: int) -> Array:
    """Return an array for the parts of sums over elements such as those of `like`."""
    parts: Array = array_module(like).empty((pieces, sums), accumulator(like.dtype))
    return parts


def add_parts(parts: Array, shape: Shape) -> Array:
    """Return the sum over the first axis of `parts`, of this shape, taken in order."""
    out: Array = array_module(parts).empty(shape, parts.dtype)
    add_parts_into(parts, out)
    return out


def add_parts_into(parts: Array, out: Array) -> None:
    """Write the sum over the first axis of `parts` to `out`, as `add_parts` does."""
    launch("add_parts", blocks(out.size), parts=parts, out=out, count=out.size, pieces=len(parts))


def sum_rows(x: Array) -> Array:
    """Return the sum of x (N, ..., C) over all axes but the last, shape (C,); float32 for halves."""
    columns = x.shape[-1]
    rows = x.size // max(1, columns)
    parts = new_parts(x, parts_of(rows, columns), columns)
    launch("sum_rows", strips(columns, len(parts)), x=x, parts=parts, rows=rows, columns=columns)
    return add_parts(parts, (columns,))
