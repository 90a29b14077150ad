"""Data sets whose files have fixed names and are looked for in the usual places; and those of them in IDX format."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from gpucnn.backend import Shape
from gpucnn.data import idx
from gpucnn.data.base import ArraySource, Dataset, Info, Source, check_split
from gpucnn.data.checks import check_counts, checked_labels, damaged
from gpucnn.data.origin import Origin
from gpucnn.data.places import PathText, find, not_found, places


class FileDataset(Dataset):
    """Base of data sets whose files are known by name.

    files: for each split its files, each as the names it may have, the one to prefer first.
    system: folders in which packages of operating systems put it.
    """

    origin: ClassVar[Origin]
    files: ClassVar[Mapping[str, Sequence[Sequence[str]]]]
    system: ClassVar[Sequence[str]] = ()

    def __init__(self, path: PathText | None = None) -> None:
        self.path = path

    @classmethod
    def located(cls) -> str:
        """Return the folder of the training files, or `not found`."""
        found = find(places(cls.name, None, cls.system), cls.files["train"])
        return str(found[0].parent) if found else "not found"

    def found(self, split: str) -> list[Path] | None:
        """Return the files of a split, or None where no folder holds them all."""
        return find(places(self.name, self.path, self.system), self.files[check_split(split)])

    def require(self, split: str) -> list[Path]:
        """Return the files of a split; raises DataError, with all that was tried, where no folder holds them all."""
        found = self.found(split)
        if found is None:
            everything = [names for files in self.files.values() for names in files]
            raise not_found(self.name, places(self.name, self.path, self.system), everything)
        return found


def _idx_names(stem: str, dimensions: int) -> tuple[str, ...]:
    plain = (f"{stem}-idx{dimensions}-ubyte", f"{stem}.idx{dimensions}-ubyte")
    return (*plain, *(f"{name}.gz" for name in plain))  # plain ones are mapped instead of loaded: they come first


class IdxDataset(FileDataset):
    """Base of MNIST and of the data sets that imitate its files: four IDX files, plain or compressed with gzip."""

    files: ClassVar[Mapping[str, Sequence[Sequence[str]]]] = {
        split: (_idx_names(f"{stem}-images", 3), _idx_names(f"{stem}-labels", 1))
        for split, stem in (("train", "train"), ("test", "t10k"))
    }
    shape: ClassVar[Shape] = (28, 28, 1)
    classes: ClassVar[tuple[str, ...]]

    def info(self) -> Info:
        """Return shape, classes, and sizes: what the headers state where the files are found, else the usual ones."""
        return Info(self.shape, self.classes, self._count("train", 60_000), self._count("test", 10_000))

    def load(self, split: str) -> Source:
        """Return the split `train` or `test`."""
        image_file, label_file = self.require(split)
        images, raw = idx.read(image_file, 3), idx.read(label_file, 1)
        labels = checked_labels(raw[:], len(self.classes), label_file, None if label_file.suffix == ".gz" else 8)
        check_counts(len(images), len(labels), image_file, label_file)
        if images.shape[1:] != self.shape[:2]:
            raise damaged(image_file, "byte 8", "28 x 28 pixels an image", " x ".join(map(str, images.shape[1:])))
        owner = _OWNERS.get(hashlib.md5(raw[:].tobytes(), usedforsecurity=False).hexdigest(), self.name)
        if owner != self.name:
            raise damaged(label_file, "labels", f"those of {self.name}", f"those of {owner}", _SAME_NAMES)
        return ArraySource(images.reshape((*images.shape, 1)), labels)

    def _count(self, split: str, usual: int) -> int:
        files = self.found(split)
        return idx.read_shape(files[0], 3)[0] if files else usual


_SAME_NAMES = "the files of both have the same names: keep each in a folder of its own"
_OWNERS = {
    "e86ee40d66677c011a9abda399ec8c4d": "mnist",
    "073c3904dfbd3e141ff8aa01cfde6b15": "mnist",
    "3236f6424fc25388b2834cb19942cf7e": "fashion_mnist",
    "8dea97a4e78c1bd1b5a6e8efbb870b6e": "fashion_mnist",
}
"""The MD5 of the label bytes of each split. One set taken for the other would train, and mean nothing."""
