"""Cutout: a patch of each image hidden."""

from __future__ import annotations

import numpy as np

from gpucnn.arguments import Pair, PixelValue
from gpucnn.augment.base import Augmentation
from gpucnn.backend import Array, Shape
from gpucnn.errors import ArgumentError
from gpucnn.frames import Draw
from gpucnn.random import Stream


class Cutout(Augmentation, name="cutout"):
    """A patch of `size`, its centre anywhere in the image, is set to `fill`; what lies outside is cut off.

    size: of the patch, one number or [height, width]. fill: from 0 to 255, as in raw images; the data's mean hides
    most. Raises ArgumentError where the patch is larger than an image.
    Source: DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.

    >>> images = np.ones((1, 4, 4, 1), np.uint8)
    >>> Cutout(2).apply(images, np.array([0]), Stream(0, "cutout"))[0, :, :, 0].tolist()
    [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    """

    def __init__(self, size: Pair, fill: PixelValue = 0) -> None:
        self.size = (size, size) if isinstance(size, int) else size
        self.fill = fill

    def check(self, shape: Shape) -> None:
        """Raise where the patch is higher or wider than an image."""
        if any(patch > size for patch, size in zip(self.size, shape[:2], strict=True)):
            raise ArgumentError(
                f"cutout: size (={list(self.size)}) must be at most the images' height and width, {list(shape[:2])}"
            )

    def apply(self, images: Array, indices: Array, stream: Stream) -> Array:
        """Return the images, a patch of each hidden."""
        self.check(images.shape[1:])
        (height, width), (down, right) = images.shape[1:3], self.size
        top, left = down // 2, right // 2  # margins in which a patch at the border lies whole
        padded = np.pad(images, ((0, 0), (top, down - 1 - top), (left, right - 1 - left), (0, 0)))
        patches = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=(1, 2), writeable=True)
        draw = self.draw(images.shape[1:], stream)
        patches[np.arange(len(images)), *draw.places(draw.words(indices))] = self.fill
        return np.ascontiguousarray(padded[:, top : top + height, left : left + width])

    def draw(self, shape: Shape, stream: Stream) -> Draw:
        """Return how a frame is drawn that hides the patch."""
        (height, width), (down, right) = shape[:2], self.size
        top, left = -(down // 2), -(right // 2)
        patch = {"from_row": top, "to_row": top + down, "from_column": left, "to_column": left + right}
        return Draw(stream, height, width, hides=True, frame={"fill": self.fill, **patch})
