"""Sums over rows in a fixed order, by the kernels in sums.cu."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache

import numpy as np

from gpucnn.backend import Array, Shape, array_module
from gpucnn.constants import constant
from gpucnn.cuda.launch import THREADS, blocks, launch
from gpucnn.halves import accumulator
from gpucnn.setting import Setting

TERMS = 512
"""How many terms of a long sum are one part's, where no other bound holds."""

MOST_PARTS = 256

MOST_WAITING = 2**24
"""How many numbers the parts of sums that wait may be: 64 MiB of float32."""

_pending: Setting[list[tuple[Array, Array]] | None] = Setting("pending sums", None)
_later = Setting("later sums", False)

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
    """Write the sum over the first axis of `parts` to `out`, as `add_parts` does; while `later`, at the end."""
    pending = _pending.get() if _later.get() else None
    if pending is not None and out.dtype == parts.dtype and out.size and out.flags.c_contiguous:
        pending.append((parts, out))
        if sum(waiting.size for waiting, _ in pending) > MOST_WAITING:
            _add_all(pending)
        return
    launch("add_parts", blocks(out.size), parts=parts, out=out, count=out.size, pieces=len(parts))


@contextmanager
def together() -> Iterator[None]:
    """While entered, sums that can wait are taken `later`; at the end all of them, by one launch."""
    pending: list[tuple[Array, Array]] = []
    with _pending.using(pending):
        yield
    _add_all(pending)


def later() -> AbstractContextManager[None]:
    """Let sums of parts wait while entered, inside of `together`: nobody may look at them before its end."""
    return _later.using(True)


def _add_all(pending: list[tuple[Array, Array]]) -> None:
    """Add all parts that wait, which do so no longer."""
    if pending:
        parts, sums = [p for p, _ in pending], [s for _, s in pending]
        sizes = tuple((len(p), s.size) for p, s in pending)
        chunks = constant(_chunks(sizes), like=sums[0])
        launch("add_all_parts", (len(chunks),), parts=parts, sums=sums, chunks=chunks)
        pending.clear()


@lru_cache(maxsize=64)
def _chunks(sizes: tuple[tuple[int, int], ...]) -> Array:
    """Return the table of add_all_parts for a list of (pieces, sums)."""
    rows = [(i, begin, n, pieces) for i, (pieces, n) in enumerate(sizes) for begin in range(0, n, THREADS)]
    return np.array(rows, np.int32)


def sum_rows(x: Array) -> Array:
    """Return the sum of x (N, ..., C) over all axes but the last, shape (C,); float32 for halves."""
    columns = x.shape[-1]
    rows = x.size // max(1, columns)
    parts = new_parts(x, parts_of(rows, columns), columns)
    launch("sum_rows", strips(columns, len(parts)), x=x, parts=parts, rows=rows, columns=columns)
    return add_parts(parts, (columns,))
