"""Reader of CIFAR's binary files: records of label bytes, then 3072 pixel bytes, three planes (red, green, blue).

The files have no header: that they are whole shows in their size alone, which is therefore checked to the byte.

Source: https://www.cs.toronto.edu/~kriz/cifar.html (A. Krizhevsky, 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.data.base import Info, Source
from gpucnn.data.checks import checked_labels, damaged, reading
from gpucnn.data.files import FileDataset
from gpucnn.data.mapped import MappedArray

SHAPE: Shape = (32, 32, 3)
_PIXELS = 32 * 32 * 3


@dataclass(frozen=True)
class CifarSource:
    """Images in memory-mapped files of equal length. files: arrays of records, (records, label bytes + 3072), uint8."""

    files: tuple[MappedArray, ...]
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Array) -> Array:
        """Return the images at `indices`: (len(indices), 32, 32, 3), uint8."""
        file, record = np.divmod(np.asarray(indices), len(self.files[0]))
        planes = np.empty((len(record), _PIXELS), np.uint8)
        for number in np.unique(file):
            rows = file == number
            planes[rows] = self.files[number][record[rows]][:, -_PIXELS:]
        return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


class CifarDataset(FileDataset):
    """Base of CIFAR-10 and CIFAR-100.

    label_bytes: how many stand before the pixels of a record. records: how many each file of a split holds.
    """

    label_bytes: ClassVar[int]
    records: ClassVar[Mapping[str, int]]
    licence = "free for research; A. Krizhevsky, 2009"
    classes: tuple[str, ...]
    label_byte: int = 0  # which byte of a record is its label

    def info(self) -> Info:
        """Return shape, classes and sizes, which are the same for everyone's files."""
        return Info(SHAPE, self.classes, self._images("train"), self._images("test"))

    def load(self, split: str) -> Source:
        """Return the split `train` or `test`."""
        paths = self.require(split)
        files = [self._map(path, self.records[split]) for path in paths]
        labels = [self._labels(*pair) for pair in zip(paths, files, strict=True)]
        return CifarSource(tuple(files), np.concatenate(labels))

    def _images(self, split: str) -> int:
        return self.records[split] * len(self.files[split])

    def _map(self, path: Path, records: int) -> MappedArray:
        shape = (records, self.label_bytes + _PIXELS)
        with reading(path):
            size = path.stat().st_size
        if size != shape[0] * shape[1]:
            expected = f"{shape[0] * shape[1]} bytes ({records} records of {shape[1]})"
            raise damaged(path, "size", expected, size, "fetch or copy it again")
        return MappedArray(path, np.uint8, shape)

    def _labels(self, path: Path, file: MappedArray) -> Array:
        raw = file.view[:, self.label_byte].copy()
        file.release()  # the labels lie between the images: reading them has touched every page
        return checked_labels(raw, len(self.classes), path, offset=self.label_byte, stride=file.shape[1])


def in_folder(folder: str, **splits: Sequence[str]) -> Mapping[str, Sequence[Sequence[str]]]:
    """Return each split's files by the names they may have: plain, or in the folder that the archive puts them into."""
    return {split: [(name, f"{folder}/{name}") for name in names] for split, names in splits.items()}
