"""What an augmentation is: a random change to training images that keeps their labels."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.random import Stream
from gpucnn.registry import Registered


class Augmentation(Registered, ABC, kind="augmentation", package="gpucnn.augment"):
    """Base of all augmentations.

    An image's change depends on (seed, augmentation, epoch, index of the image) alone, never on its batch: draw with
    `stream.at(indices, count)`, whose row i is that of image `indices[i]`.
    """

    def check(self, shape: Shape) -> None:
        """Raise ArgumentError where images of `shape`, (H, W, C), cannot be changed in this way."""

    @abstractmethod
    def apply(self, images: Array, indices: Array, stream: Stream) -> Array:
        """Return changed images, a new array of the same shape and dtype.

        images: (N, H, W, C), raw, uint8 or float. indices: (N,), where each stands in its data set.
        Raises ArgumentError as `check` does.
        """

    def frames(self, shape: Shape, indices: Array, stream: Stream) -> Array | None:
        """Return what `apply` does as a frame for each image, int32 (N, 9), see `gpucnn.ops.gather`.

        A GPU makes batches of these. None, which is the default, where no frame does the same: then batches are made
        on the host. shape: (H, W, C) of the images.
        """
        return None


def below(words: Array, limit: int) -> Array:
    """Return random 32-bit words as integers from 0 to below `limit`: floor(word limit / 2^32), int64.

    >>> below(np.array([0, 2**31, 2**32 - 1], np.uint32), 10).tolist()
    [0, 5, 9]
    """
    integers: Array = ((words.astype(np.uint64) * np.uint64(limit)) >> np.uint64(32)).astype(np.int64)
    return integers
