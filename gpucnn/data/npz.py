"""Images and labels in one .npz file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpucnn.arguments import PositiveInt
from gpucnn.backend import Array, Shape
from gpucnn.data.base import NEEDS_PATH, Dataset, Info, Source, check_split
from gpucnn.data.checks import check_counts, check_finite, checked_labels, damaged
from gpucnn.data.npz_reader import NpzFile
from gpucnn.data.places import PathText, existing
from gpucnn.data.split import Part, chosen

_NAMES = {
    "train": (("train_images", "x_train"), ("train_labels", "y_train")),
    "test": (("test_images", "x_test"), ("test_labels", "y_test")),
}
_ALL = (("images",), ("labels",))  # of a file that is not split


@dataclass(frozen=True)
class NpzSource:
    """Images of one array, in memory or memory-mapped, at `rows` of it (all where None)."""

    images: Any
    labels: Array
    rows: Array | None
    where: str

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Array) -> Array:
        """Return the images at `indices`, as uint8 or float32; raises DataError where one is not finite."""
        rows = np.asarray(indices) if self.rows is None else self.rows[indices]
        images: Array = self.images[rows]
        if images.dtype == np.uint8:
            return images
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below
            images = images.astype(np.float32)
        check_finite(images, rows, self.where)
        return images


class Npz(Dataset, name="npz"):
    """Arrays of a .npz file: train_images, train_labels, test_images, test_labels (or x_train, y_train, ...).

    Images are (N, H, W, C) or (N, H, W), uint8 (0 to 255) or float (finite, used as they are); labels are whole
    numbers from 0, (N,). A file of `images` and `labels` alone is split by chance, the same on every run.

    path: the file. One that was saved by numpy.savez is memory-mapped, however large; by savez_compressed, loaded.
    classes: how many classes there are, or their names; the largest label + 1 where it is not given.
    test: the fraction to test with, where the file is not split.
    """

    def __init__(self, path: PathText, classes: PositiveInt | list[str] | None = None, test: Part = 0.2) -> None:
        self.path, self.test = path, test
        self.names = list(map(str, range(classes))) if isinstance(classes, int) else classes

    @classmethod
    def located(cls) -> str:
        """Return where the data are: only the config knows."""
        return NEEDS_PATH

    def info(self) -> Info:
        """Return shape, classes and sizes, from the headers of the images and the labels."""
        sizes = {split: len(self._labels(split)[0]) for split in _NAMES}
        return Info(self._shape("train")[1:], self._classes, **sizes)

    def load(self, split: str) -> Source:
        """Return the split `train` or `test`."""
        shape, name = self._shape(check_split(split)), self._keys(split)[0]
        if shape[1:] != self._shape("train")[1:]:
            expected = f"images of {self._shape('train')[1:]}, as for training"
            raise damaged(self._file.path, f"array {name!r}", expected, shape[1:])
        labels, rows = self._labels(split)
        checked = checked_labels(labels, len(self._classes), f"{self._file.path}: array {self._keys(split)[1]!r}")
        images = self._file.mapped(name).reshape(shape)
        return NpzSource(images, checked, rows, f"{self._file.path}: array {name!r}")

    @cached_property
    def _file(self) -> NpzFile:
        return NpzFile(existing(self.name, self.path))

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        if self.names is not None:
            return tuple(self.names)
        labels = [self._labels(split)[0] for split in _NAMES]
        largest, images = max(int(part.max()) for part in labels), sum(map(len, labels))
        if largest >= images:  # damage, or numbers that are no classes: not to be counted up to
            raise damaged(self._file.path, "labels", f"numbers below {images}, the images", largest, "give `classes`")
        return tuple(map(str, range(largest + 1)))

    @property
    def _unsplit(self) -> bool:
        return all(name in self._file.names for (name,) in _ALL)

    def _keys(self, split: str) -> list[str]:
        """Return the names of a split's images and labels in this file."""
        wanted = _ALL if self._unsplit else _NAMES[split]
        keys = [next((name for name in names if name in self._file.names), None) for names in wanted]
        if None in keys:
            expected = " and ".join(" or ".join(names) for names in wanted)
            raise damaged(self._file.path, "arrays", f"{expected} (or images and labels)", sorted(self._file.names))
        return [key for key in keys if key is not None]

    def _shape(self, split: str) -> Shape:
        """Return the shape of a split's images, (N, H, W, C), once it is known to be one."""
        name = self._keys(split)[0]
        member = self._file.member(name)
        if len(member.shape) not in (3, 4) or 0 in member.shape[1:]:
            raise damaged(self._file.path, f"array {name!r}", "shape (N, H, W) or (N, H, W, C)", member.shape)
        if member.dtype != np.uint8 and member.dtype.kind != "f":
            raise damaged(self._file.path, f"array {name!r}", "uint8 or float images", member.dtype)
        return member.shape if len(member.shape) == 4 else (*member.shape, 1)

    def _labels(self, split: str) -> tuple[Array, Array | None]:
        """Return a split's labels, and the rows of the arrays that it takes where the file is not split."""
        image_name, name = self._keys(split)
        member, path = self._file.member(name), self._file.path
        if len(member.shape) != 1 or member.dtype.kind not in "iu":
            found = f"shape {member.shape} of {member.dtype}"
            raise damaged(path, f"array {name!r}", "whole numbers of shape (N,)", found)
        labels = self._file.loaded(name)
        check_counts(self._shape(split)[0], len(labels), f"array {image_name!r}", f"{path}: array {name!r}")
        if not self._unsplit:
            return labels, None
        rows = chosen(len(labels), self.test, split)
        return labels[rows], rows
