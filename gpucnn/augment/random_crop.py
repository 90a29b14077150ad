"""Random crops: images shifted by a few pixels."""

from __future__ import annotations

import numpy as np

from gpucnn.arguments import NonNegativePair, PixelValue
from gpucnn.augment.base import Augmentation
from gpucnn.backend import Array, Shape
from gpucnn.errors import ArgumentError
from gpucnn.frames import Border, Draw
from gpucnn.random import Stream


class RandomCrop(Augmentation, name="random_crop"):
    """Each image is padded on all sides, and a part of its own size is cut out at a random place.

        y[i, j] = padded[top + i, left + j]      top from 0 to 2 padding_h, left from 0 to 2 padding_w, uniform

    padding: pixels on each side, one number or [height, width]. mode: what is padded: `constant` (the value `fill`,
    from 0 to 255 as in raw images), `edge` (the outermost pixel again) or `reflect` (the image mirrored at its
    outermost pixels). Raises ArgumentError where `reflect` needs more pixels than an image has.
    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2.

    >>> images = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3, 1)
    >>> RandomCrop(1).apply(images, np.array([0]), Stream(0, "crop"))[0, :, :, 0].tolist()
    [[0, 0, 0], [0, 1, 2], [0, 4, 5]]
    """

    def __init__(self, padding: NonNegativePair, mode: Border = "constant", fill: PixelValue = 0) -> None:
        self.padding = (padding, padding) if isinstance(padding, int) else padding
        self.mode, self.fill = mode, fill

    def check(self, shape: Shape) -> None:
        """Raise where `reflect` would mirror more than there is: padding must be below the image's size."""
        if self.mode == "reflect" and any(p >= size for p, size in zip(self.padding, shape[:2], strict=True)):
            raise ArgumentError(
                f"random_crop: padding (={list(self.padding)}) with mode reflect must be below the images' height and "
                f"width, {list(shape[:2])}: choose less, or mode edge"
            )

    def apply(self, images: Array, indices: Array, stream: Stream) -> Array:
        """Return the crops."""
        self.check(images.shape[1:])
        down, right = self.padding
        height, width = images.shape[1:3]
        padded = self._pad(images, ((0, 0), (down, down), (right, right), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
        draw = self.draw(images.shape[1:], stream)
        places = np.arange(len(images)), *draw.places(draw.words(indices))
        return np.ascontiguousarray(np.moveaxis(windows, 3, -1)[places])

    def draw(self, shape: Shape, stream: Stream) -> Draw:
        """Return how a frame is drawn that is shifted by the crop."""
        down, right = self.padding
        begins = {"top": -down, "left": -right, "border": self.mode, "fill": self.fill}
        return Draw(stream, 2 * down + 1, 2 * right + 1, frame=begins)

    def _pad(self, images: Array, margins: tuple[tuple[int, int], ...]) -> Array:
        if self.mode == "constant":
            return np.pad(images, margins, constant_values=self.fill)
        return np.pad(images, margins, mode=self.mode)
