"""Handwritten digits that come with the package, so that a first network learns without a download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gpucnn.backend import Array
from gpucnn.data import idx
from gpucnn.data.base import ArraySource, Dataset, Info, Source, check_split

_FOLDER = Path(__file__).parent
_FIFTH = 5


class Digits(Dataset, name="digits"):
    """Handwritten digits, 8x8, gray: 1,442 images to train on, 355 to test with; they come with the package.

    A pixel counts the dark points, v = 0 .. 16, of a 4x4 block of a scan; it is scaled to floor((255 v + 8) / 16),
    which is 255 v / 16 rounded half up. The split is fixed: of each class, in the order of the file, every fifth image
    (the 5th, 10th, ...) is for testing, the others for training. The same writers are therefore in both.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", 1998, UCI, DOI 10.24432/C50P49
    (the 1,797 images of optdigits.tes), CC BY 4.0; see LICENSE beside the files.

    >>> digits = Digits()
    >>> digits.load("test").read(np.array([0])).shape
    (1, 8, 8, 1)
    """

    licence = "CC BY 4.0; E. Alpaydin, C. Kaynak"

    def __init__(self) -> None:
        pass

    @classmethod
    def located(cls) -> str:
        """Return where the data are: they come with the package."""
        return "in the package"

    def info(self) -> Info:
        """Return shape, classes and sizes."""
        return Info((8, 8, 1), tuple("0123456789"), train=1442, test=355)

    def load(self, split: str) -> Source:
        """Return the split `train` or `test`."""
        test = check_split(split) == "test"
        counts = np.asarray(idx.read(_FOLDER / "images-idx3-ubyte.gz", 3)).astype(np.uint16)
        labels = np.asarray(idx.read(_FOLDER / "labels-idx1-ubyte.gz", 1)).astype(np.int64)
        chosen = every_fifth(labels) == test
        images = ((255 * counts + 8) // 16).astype(np.uint8)[..., None]
        return ArraySource(images[chosen], labels[chosen])


def every_fifth(labels: Array) -> Array:
    """Return a mask of every fifth image of each class.

    >>> every_fifth(np.array([0, 0, 0, 1, 0, 0, 0]))
    array([False, False, False, False, False,  True, False])
    """
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        mask[np.flatnonzero(labels == label)[_FIFTH - 1 :: _FIFTH]] = True
    return mask
