"""What a data set is: its shape and classes, known before its files are read, and a source for each split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.data.origin import Origin
from gpucnn.errors import ArgumentError
from gpucnn.registry import Registered


@dataclass(frozen=True)
class Info:
    """What is known of a data set before it is loaded.

    shape: (H, W, C) of every image. classes: the name of each label. train, test: how many images, None where
    that is known only once the files are read.
    """

    shape: Shape
    classes: tuple[str, ...]
    train: int | None = None
    test: int | None = None


class Source(Protocol):
    """Images and labels of one split, in memory or streamed."""

    @property
    def labels(self) -> Array:
        """The label of every image: int64, shape (len(self),)."""

    def __len__(self) -> int: ...

    def read(self, indices: Array) -> Array:
        """Return the images at `indices`: (len(indices), H, W, C), uint8 or float32, a new array. Thread-safe."""


@dataclass(frozen=True)
class ArraySource:
    """A split whose images are one array: in memory, or a `MappedArray`, which is read as it is used."""

    images: Any
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Array) -> Array:
        """Return the images at `indices`, copied."""
        return np.asarray(self.images[indices])


NEEDS_PATH = "give its path"
"""What `Dataset.located` says of a data set that is wherever its `path` says."""


class Dataset(Registered, ABC, kind="dataset", package="gpucnn.data"):
    """Base of all data sets. Constructing one reads nothing."""

    origin: ClassVar[Origin | None] = None
    """Where the files can be downloaded from; None for a data set that has nothing to download."""
    licence: ClassVar[str] = "yours"
    """One line on whose the data are and what may be done with them."""

    @abstractmethod
    def info(self) -> Info:
        """Return shape, classes and sizes; reads as little as possible. Raises DataError where it has to and cannot."""

    @abstractmethod
    def load(self, split: str) -> Source:
        """Return the split `train` or `test`. Raises DataError: one message with file, position, expected, found."""

    @classmethod
    @abstractmethod
    def located(cls) -> str:
        """Return in words where the data are when no argument says so, for `gpucnn data list`."""


def check_split(split: str) -> str:
    """Return `split` where it is `train` or `test`; raises ArgumentError for any other word."""
    if split not in ("train", "test"):
        raise ArgumentError(f"split (={split!r}) must be 'train' or 'test' (validation images are a part of 'train')")
    return split
