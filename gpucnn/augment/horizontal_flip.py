"""Horizontal flips: images mirrored, left for right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpucnn.arguments import Rate
from gpucnn.augment.base import Augmentation
from gpucnn.backend import Array, Shape
from gpucnn.frames import Draw
from gpucnn.random import Stream


class HorizontalFlip(Augmentation, name="horizontal_flip"):
    """Each image is mirrored, y[i, j] = x[i, W - 1 - j], with probability `rate`.

    alternating: that is drawn for the first epoch alone, and from then on each image is mirrored in every other epoch:
    in any two epochs that follow each other, both its forms are seen.
    Source of that: K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, 2024.

    >>> images = np.array([1, 2, 3], np.uint8).reshape(1, 1, 3, 1)
    >>> HorizontalFlip(rate=1.0).apply(images, np.array([0]), Stream(0, "flip")).ravel().tolist()
    [3, 2, 1]
    """

    def __init__(self, rate: Rate = 0.5, alternating: bool = False) -> None:
        self.rate, self.alternating = rate, alternating

    def apply(self, images: Array, indices: Array, stream: Stream) -> Array:
        """Return the images, some of them mirrored."""
        draw = self.draw(images.shape[1:], stream)
        chosen = np.flatnonzero(draw.mirrored(draw.words(indices)))
        flipped = images.copy()
        flipped[chosen] = images[chosen, :, ::-1]
        return flipped

    def draw(self, shape: Shape, stream: Stream) -> Draw:
        """Return how a frame is drawn that is mirrored, or not; the stream's step is the epoch."""
        if self.alternating:
            return Draw(replace(stream, step=0), rate=self.rate, frame={"mirrored": stream.step % 2})
        return Draw(stream, rate=self.rate)
