"""Data sets that live on the GPU: images are copied there once, as they are, and every batch is gathered there.

Crops, flips and what else changes an image are drawn for many batches at a time, on the device where augmentations say
how, and applied by the kernel that gathers: a step waits for no image to be prepared or copied. The batches are a
`Loader`'s, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucnn import ops
from gpucnn.augment.base import Augmentation
from gpucnn.backend import Array, Device, Shape
from gpucnn.data.base import Source
from gpucnn.data.loader import Batches, Loader
from gpucnn.data.normalize import affine
from gpucnn.errors import ArgumentError, OutOfMemory
from gpucnn.frames import FIELDS, Draw
from gpucnn.halves import accumulator
from gpucnn.random import Stream

SHARE = 0.25
"""Images are kept on the GPU, unless the experiment says, where they take no more than this share of its free memory:
the network needs the rest."""

_DRAWN = 1 << 14  # images whose frames are drawn at a time
_COPIED = 16 << 20  # bytes that are copied to the device at a time


@dataclass(frozen=True)
class Resident:
    """All images of a source, (N, H, W, C), uint8 or float32, and their labels, on a device."""

    source: Source
    images: Array
    labels: Array

    @staticmethod
    def of(source: Source, device: Device) -> Resident:
        """Return a source's images, copied to a device; raises OutOfMemory where they do not fit."""
        first = source.read(np.arange(1))
        block, size = max(1, _COPIED // first.nbytes), len(source)
        try:
            images = device.xp.empty((size, *first.shape[1:]), first.dtype)
            for start in range(0, size, block):
                read = source.read(np.arange(start, min(start + block, size)))
                images[start : start + len(read)] = device.asarray(read)
            return Resident(source, images, device.asarray(source.labels, np.int64))
        except MemoryError:
            raise OutOfMemory(_too_large(bytes_of(source), device)) from None


class ResidentLoader(Loader):
    """A loader whose batches are made on the device that holds the images. settings: as for `Loader`.

    Raises ArgumentError for augmentations that are no frames, or that do not fit the images.

    >>> from gpucnn.data.synthetic import Synthetic
    >>> resident = Resident.of(Synthetic(train=10).load("train"), Device("cpu"))
    >>> loader = ResidentLoader(resident, np.arange(10), 4, seed=0, shuffle=True)
    >>> [(x.shape, x.dtype.name, labels.shape) for x, labels in loader.batches(epoch=0)]
    [((4, 8, 8, 1), 'float32', (4,)), ((4, 8, 8, 1), 'float32', (4,)), ((2, 8, 8, 1), 'float32', (2,))]
    """

    def __init__(self, resident: Resident, indices: Array, batch_size: int, **settings: Any) -> None:
        super().__init__(resident.source, indices, batch_size, **settings)
        self.resident, self.shape = resident, resident.images.shape[1:]
        for augmentation in self.augment:
            augmentation.check(self.shape)
        if why := without_frames(self.augment, self.shape):
            raise ArgumentError(why)

    def batches(self, epoch: int, start: int = 0) -> Batches:
        """Yield (x, labels) of every batch from number `start` on, as `Loader.batches`."""
        images, labels, (scale, shift) = self.resident.images, self.resident.labels, self.affine()
        for chosen, drawn in self.chosen(epoch, start):
            indices, frames = self.there(chosen, drawn, epoch)
            for begin in range(0, len(chosen), self.batch_size):
                batch = slice(begin, begin + self.batch_size)
                yield ops.gather(images, labels, indices[batch], frames[batch], scale, shift, dtype=self.dtype)

    @property
    def drawn(self) -> int:
        """Of how many images at most `chosen` tells at a time: those of whole batches."""
        return -(-min(_DRAWN, self.images) // self.batch_size) * self.batch_size

    def chosen(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array | None]]:
        """Yield which images the batches from number `start` on are of, int64 (n,), and their frames; on the host.

        None in place of frames where the device draws them.
        """
        order = np.asarray(self.order(epoch), np.int64)
        for first in range(start * self.batch_size, len(order), self.drawn):
            indices = order[first : first + self.drawn]
            yield indices, None if self._draws(epoch) else self._frames(indices, epoch)

    def there(self, indices: Array, frames: Array | None, epoch: int) -> tuple[Array, Array]:
        """Return on the device what `chosen` yields; where there are no frames, they are drawn there."""
        indices = self.device.asarray(indices)
        if frames is not None:
            return indices, self.device.asarray(frames)
        return indices, ops.draw_frames(indices, self._draws(epoch))

    def affine(self) -> tuple[Array, Array | None]:
        """Return what raw pixels are multiplied by and what is added to that, (C,) each, on the device."""
        factors, terms = affine(self.normalize, self.resident.images.dtype, self.shape[-1])
        dtype = accumulator(self.dtype)
        return self.device.asarray(factors, dtype), None if terms is None else self.device.asarray(terms, dtype)

    def _draws(self, epoch: int) -> list[Draw]:
        """Return how the device draws frames; nothing where the host has to, or there are none."""
        draws = [each.draw(self.shape, self.stream(place, epoch)) for place, each in enumerate(self.augment)]
        found = [draw for draw in draws if draw]
        return found if len(found) == len(draws) else []

    def _frames(self, indices: Array, epoch: int) -> Array:
        """Return what the augmentations do to images, as frames: (N, augmentations, 9)."""
        drawn = np.zeros((len(indices), len(self.augment), len(FIELDS)), np.int32)
        for place, augmentation in enumerate(self.augment):
            drawn[:, place] = np.asarray(augmentation.frames(self.shape, indices, self.stream(place, epoch)))
        return drawn


def without_frames(augment: Sequence[Augmentation], shape: Shape) -> str:
    """Return in words which augmentation a GPU cannot apply to images of `shape`; nothing where it can apply all."""
    for augmentation in augment:
        if augmentation.frames(shape, np.zeros(0, np.int64), Stream(0, "")) is None:
            return f"{augmentation.name} runs on the host only"
    return ""


def bytes_of(source: Source) -> int:
    """Return how many bytes the images of a source take."""
    return len(source) * int(source.read(np.arange(1)).nbytes)


def why_streamed(source: Source, augment: Sequence[Augmentation], device: Device, wanted: bool) -> str:
    """Return why batches are made on the host, in words; nothing where the device shall hold the images.

    wanted: whether they must be on the device: then it raises, ArgumentError or OutOfMemory, where they cannot be.
    """
    why = without_frames(augment, source.read(np.arange(1)).shape[1:])
    if wanted and why:
        raise ArgumentError(f"data.on_device is true, but {why}: set it to auto, or leave that augmentation out")
    size, free = bytes_of(source), device.free_memory()
    if wanted and size > free:
        raise OutOfMemory(_too_large(size, device))
    if not wanted and not why and size > SHARE * free:
        why = f"they take {_gib(size)}, more than {SHARE:.0%} of the {_gib(free)} that are free on {device}"
    return why


def _too_large(size: int, device: Device) -> str:
    return f"the images take {_gib(size)}, too much for {device}{device.memory()}: set data.on_device to false"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
