"""Arrays whose memory is used again.

Memory fresh from the system costs a page fault every 4 KB when it is first written, which can be a third of a training
step. Here the memory of an array goes to a list of its size when the last view of it dies, and the next array of about
that size takes it from there: after its first steps, training asks the system for none. All begin at a multiple of 64
bytes, a cache line, where vector instructions and OpenBLAS' kernels for small matrices are fastest.
"""

from __future__ import annotations

import functools
import math
import time
from collections import defaultdict
from typing import Any

import numpy as np

from gpucnn.backend import Array, Shape

ALIGNMENT = 64
SMALLEST = 4096
"""Below, NumPy's own small blocks are as good."""

KEPT_SECONDS = 10.0
"""How long memory of a size that nobody asks for stays idle before it may be let go, when other memory is needed."""

ROOMY = 1.25
"""How many times larger than needed the memory may be that an array is given."""


_Memory = tuple[Array, int, bool]
"""What holds it, its address, and False: that it is not read-only, as NumPy wants to know with the address."""


class _Lease:
    """Memory lent to one array and all its views: NumPy holds it as their base, and when it dies it is idle again."""

    __slots__ = ("__array_interface__", "_idle", "_memory")

    def __init__(self, memory: _Memory, idle: list[_Memory], shape: Shape, dtype: np.dtype[Any]) -> None:
        self._memory, self._idle = memory, idle
        self.__array_interface__ = {"data": memory[1:], "shape": shape, "typestr": dtype.str, "version": 3}

    def __del__(self) -> None:
        self._idle.append(self._memory)


class Pool:
    """Idle memory by its size. Appending to a list and popping from it are atomic: no lock, in any thread."""

    def __init__(self) -> None:
        self._idle: defaultdict[int, list[_Memory]] = defaultdict(list)
        self._asked: dict[int, float] = {}  # when memory of a size was last asked for
        self.misses = 0  # how often the system was asked for memory

    def empty(self, shape: Shape, dtype: Any = np.float32) -> Array:
        """Return an array that holds anything."""
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if size < SMALLEST:
            return np.empty(shape, kind)
        size = size_class(size)
        self._asked[size] = time.monotonic()
        idle = self._idle[size]
        try:
            memory = idle.pop()
        except IndexError:
            idle, memory = self._larger(size) or (idle, self._new(size))
        return np.asarray(_Lease(memory, idle, shape, kind))

    def clear(self, older_than: float = 0.0) -> None:
        """Let idle memory go whose size was last asked for more than so many seconds ago."""
        now = time.monotonic()
        for size, idle in list(self._idle.items()):
            if now - self._asked.get(size, 0.0) >= older_than:
                idle.clear()

    @property
    def idle_bytes(self) -> int:
        """How much memory is idle."""
        return sum(size * len(blocks) for size, blocks in list(self._idle.items()))

    def _larger(self, size: int) -> tuple[list[_Memory], _Memory] | None:
        """Return idle memory that is a little larger, and where it goes back to."""
        for other in sorted(n for n in list(self._idle) if size < n <= ROOMY * size):
            try:
                return self._idle[other], self._idle[other].pop()
            except IndexError:
                continue
        return None

    def _new(self, size: int) -> _Memory:
        self.misses += 1
        self.clear(older_than=KEPT_SECONDS)
        memory = np.empty(size + ALIGNMENT, np.uint8)
        address = memory.ctypes.data
        return memory, address + -address % ALIGNMENT, False


@functools.cache
def size_class(size: int) -> int:
    """Return size, rounded up so that it has no more than three significant binary digits after the first.

    >>> size_class(4096), size_class(4097), size_class(1_000_000)
    (4096, 4608, 1048576)
    """
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step


pool = Pool()
empty = pool.empty


def zeros(shape: Shape, dtype: Any = np.float32) -> Array:
    """Return an array of zeros."""
    array = empty(shape, dtype)
    array[...] = 0
    return array
