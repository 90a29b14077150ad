"""Image files in a folder for each class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from gpucnn.arguments import Pair
from gpucnn.backend import Array, Shape
from gpucnn.data.base import NEEDS_PATH, Dataset, Info, Source, check_split
from gpucnn.data.checks import damaged, reading
from gpucnn.data.pictures import SUFFIXES, read_picture
from gpucnn.data.places import PathText, existing
from gpucnn.data.split import Part, chosen


@dataclass(frozen=True)
class PictureSource:
    """Images that are read from their files whenever they are asked for."""

    files: list[Path]
    labels: Array
    shape: Shape
    resize: bool

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Array) -> Array:
        """Return the images at `indices`, (len(indices), H, W, C), uint8; raises DataError for an unreadable one."""
        images = np.empty((len(indices), *self.shape), np.uint8)
        height, width, channels = self.shape
        for image, index in zip(images, indices, strict=True):
            image[:] = read_picture(self.files[index], channels, (height, width), resize=self.resize)
        return images


class ImageFolder(Dataset, name="image_folder"):
    """Images in path/train/CLASS/*.png and path/test/CLASS/*.png; or in path/CLASS/*.png, split by chance.

    The classes are the folders' names in alphabetical order; hidden files and those that are not images by their names
    (.bmp .gif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp) are left out.

    path: the folder. size: n or [height, width] to resize all images to; without it, all must be as large as the first.
    color: `rgb`, or `gray` for one channel. test: the fraction to test with, where the folder is not split; which
    images these are is the same on every run.
    """

    def __init__(
        self, path: PathText, size: Pair | None = None, color: Literal["rgb", "gray"] = "rgb", test: Part = 0.2
    ) -> None:
        self.path, self.test, self.channels = path, test, 3 if color == "rgb" else 1
        self.size = (size, size) if isinstance(size, int) else size

    @classmethod
    def located(cls) -> str:
        """Return where the data are: only the config knows."""
        return NEEDS_PATH

    def info(self) -> Info:
        """Return shape, classes and sizes: lists the folders, and reads one image where `size` is not given."""
        return Info(self._shape, self._classes, len(self._files("train")), len(self._files("test")))

    def load(self, split: str) -> Source:
        """Return the split `train` or `test`; its images are read when they are asked for."""
        pairs = self._files(check_split(split))
        labels = np.array([label for _, label in pairs], np.int64)
        return PictureSource([file for file, _ in pairs], labels, self._shape, self.size is not None)

    @cached_property
    def _root(self) -> Path:
        return existing(self.name, self.path)

    @cached_property
    def _is_split(self) -> bool:
        return all((self._root / split).is_dir() for split in ("train", "test"))

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        folder = self._root / "train" if self._is_split else self._root
        names = tuple(_entries(folder, folders=True))
        if not names:
            raise damaged(folder, "classes", "a folder for each class", "none")
        return names

    @cached_property
    def _shape(self) -> Shape:
        if self.size is not None:
            return (*self.size, self.channels)
        return read_picture(self._files("train")[0][0], self.channels).shape

    def _files(self, split: str) -> list[tuple[Path, int]]:
        """Return the files of a split with their labels."""
        if self._is_split:
            return self._listed(self._root / split)
        files = self._listed(self._root)
        return [files[row] for row in chosen(len(files), self.test, split)]

    def _listed(self, folder: Path) -> list[tuple[Path, int]]:
        names = _entries(folder, folders=True)
        if strangers := sorted(set(names) - set(self._classes)):
            raise damaged(folder, "classes", f"those of {self._root / 'train'}", f"also {', '.join(strangers)}")
        listed = []
        for name in names:
            files = [folder / name / file for file in _entries(folder / name, folders=False)]
            if not files:
                raise damaged(folder / name, "images", f"at least one ({' '.join(sorted(SUFFIXES))})", "none")
            listed += [(file, self._classes.index(name)) for file in files]
        if not listed:
            raise damaged(folder, "images", "at least one", "none")
        return listed


def _entries(folder: Path, *, folders: bool) -> list[str]:
    """Return the names of a folder's folders, or of its image files, in alphabetical order, without hidden ones."""

    def wanted(entry: Path) -> bool:
        return entry.is_dir() if folders else entry.is_file() and entry.suffix.lower() in SUFFIXES

    with reading(folder):
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".") and wanted(entry))
