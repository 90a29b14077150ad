"""Arrays that stay in their file: mapped into memory, read where they are indexed, and never resident for long."""

from __future__ import annotations

import copy
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.data.checks import reading

_BUDGET = 128 << 20
_AROUND = 64 << 10  # what the kernel maps around a page that is touched


class MappedArray:
    """Raw numbers in a file, as a read-only array whose first axis are the records.

    Indexing with an array of integers copies those records. A mapped page stays resident once it is touched, so an
    epoch over a large file would fill the memory; whenever about 128 MB of it may have become resident, all pages are
    handed back to the system, which keeps them in its cache as long as nobody needs the room. Thread-safe.
    """

    def __init__(self, path: Path, dtype: Any, shape: Shape, offset: int = 0, *, fortran: bool = False) -> None:
        with reading(path), path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        flat = np.frombuffer(self._map, dtype, int(np.prod(shape, dtype=object)), offset)
        self.view: Array = flat.reshape(shape, order="F" if fortran else "C")
        self._record = self.view.nbytes // max(len(self.view), 1) + _AROUND
        self._touched = 0

    @property
    def shape(self) -> Shape:
        """The shape of the whole array."""
        return self.view.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its numbers."""
        return self.view.dtype

    def reshape(self, shape: Shape) -> MappedArray:
        """Return the same numbers in another shape."""
        other = copy.copy(self)
        other.view = self.view.reshape(shape)
        return other

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, indices: Array | slice) -> Array:
        records: Array = self.view[indices]
        self._touched += len(records) * self._record  # an estimate: threads may race here, which does no harm
        if self._touched > _BUDGET < self.view.nbytes:
            self.release()
        return records

    def release(self) -> None:
        """Hand the resident pages back to the system; they are read again when they are needed."""
        self._touched = 0
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
