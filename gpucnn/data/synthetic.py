"""Images made by a rule, of any size and number: for tests, for benchmarks, and to try a network out."""

from __future__ import annotations

import math

import numpy as np

from gpucnn.arguments import NonNegativeInt, Pair, PositiveInt
from gpucnn.backend import Array, Shape
from gpucnn.data.base import Dataset, Info, Source, check_split
from gpucnn.random import Stream

_GRID = 4  # a class is told by this many patches along each axis
_SHIFTS = 64  # places, along each axis, from which an image takes its noise


class SyntheticSource:
    """Image i is the pattern of its class plus a window of noise, which (seed, split, i) chooses. Nothing is stored."""

    def __init__(self, shape: Shape, classes: int, count: int, seed: int, split: str) -> None:
        self._patterns = _patterns(shape, classes, seed)
        self._windows = np.lib.stride_tricks.sliding_window_view(_canvas(shape, seed), shape[:2], axis=(0, 1))
        self._stream = Stream(seed, f"synthetic.{split}")
        self.labels: Array = np.arange(count, dtype=np.int64) % classes

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Array) -> Array:
        """Return the images at `indices`: (len(indices), H, W, C), uint8."""
        row, column = (self._stream.at(indices, 2) % np.uint32(_SHIFTS)).T
        noise = self._windows[row, column].transpose(0, 2, 3, 1)
        images: Array = self._patterns[self.labels[indices]] + noise
        return images


class Synthetic(Dataset, name="synthetic"):
    """Images that are computed as they are read: each class a pattern of 4x4 patches, under noise of equal strength.

    size: height and width. channels: how many colours. classes: how many kinds, in turn: the label of image i is
    i mod classes. train, test: how many images. seed: another seed, other patterns and noise. A network learns them
    in an epoch or two; images of the two splits differ in their noise alone.

    >>> Synthetic(size=(6, 8), channels=3, train=100).load("train").read(np.arange(2)).shape
    (2, 6, 8, 3)
    """

    licence = "none needed"

    def __init__(
        self,
        size: Pair = 8,
        channels: PositiveInt = 1,
        classes: PositiveInt = 10,
        train: PositiveInt = 1024,
        test: PositiveInt = 256,
        seed: NonNegativeInt = 0,
    ) -> None:
        height, width = (size, size) if isinstance(size, int) else size
        self._info = Info((height, width, channels), tuple(map(str, range(classes))), train, test)
        self.seed = seed

    @classmethod
    def located(cls) -> str:
        """Return where the data are: nowhere."""
        return "computed"

    def info(self) -> Info:
        """Return shape, classes and sizes."""
        return self._info

    def load(self, split: str) -> Source:
        """Return the split `train` or `test`."""
        count = self._info.train if check_split(split) == "train" else self._info.test
        return SyntheticSource(self._info.shape, len(self._info.classes), count or 0, self.seed, split)


def _patterns(shape: Shape, classes: int, seed: int) -> Array:
    """Return a pattern for each class, (classes, H, W, C), uint8 below 128."""
    height, width, channels = shape
    bits = Stream(seed, "synthetic.patterns").bits(classes * _GRID * _GRID * channels)
    patches = (bits % np.uint32(128)).astype(np.uint8).reshape(classes, _GRID, _GRID, channels)
    rows, columns = (np.arange(size) * _GRID // size for size in (height, width))
    grown: Array = patches[:, rows][:, :, columns]
    return grown


def _canvas(shape: Shape, seed: int) -> Array:
    """Return the noise that images take their windows from, uint8 below 128."""
    canvas = (shape[0] + _SHIFTS - 1, shape[1] + _SHIFTS - 1, shape[2])
    bits = Stream(seed, "synthetic.noise").bits(math.prod(canvas))
    return (bits % np.uint32(128)).astype(np.uint8).reshape(canvas)
