"""What an augmentation is: a random change to training images that keeps their labels."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gpucnn.backend import Array, Shape
from gpucnn.frames import Draw
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

    def draw(self, shape: Shape, stream: Stream) -> Draw | None:
        """Return how a frame is drawn that does what `apply` does; None, which is the default, where no `Draw` says.

        Where it is told, a GPU draws the frames. shape: (H, W, C) of the images.
        """
        return None

    def frames(self, shape: Shape, indices: Array, stream: Stream) -> Array | None:
        """Return what `apply` does as a frame for each image, int32 (N, 9), see `gpucnn.frames`.

        A GPU makes batches of these; by default they are as `draw` says. None where no frame does the same: then
        batches are made on the host.
        """
        draw = self.draw(shape, stream)
        return None if draw is None else draw.frames(indices)
