"""Many arrays taken by one launch: the table of the chunks that they are cut into, one a block. See chunks.cuh."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from gpucnn.backend import Array
from gpucnn.constants import constant

CHUNK = 2048
"""Elements of a chunk: enough for each thread of a block to have several."""


def chunk_table(arrays: Sequence[Array], flags: Sequence[bool]) -> Array:
    """Return a row for each chunk: which array it is of, its first element, the one after its last, the array's flag.

    It is on the device of the arrays, and made once: it must not be changed.
    """
    return constant(_table(tuple(array.size for array in arrays), tuple(flags)), like=arrays[0])


@lru_cache(maxsize=64)
def _table(sizes: tuple[int, ...], flags: tuple[bool, ...]) -> Array:
    rows = [
        (i, begin, min(begin + CHUNK, size), flag)
        for i, (size, flag) in enumerate(zip(sizes, flags, strict=True))
        for begin in range(0, size, CHUNK)
    ]
    return np.array(rows, np.int32).reshape(-1, 4)
