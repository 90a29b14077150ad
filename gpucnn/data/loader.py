"""Batches of a split: shuffled, augmented and normalised, prepared ahead of the step that uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeAlias

import numpy as np

from gpucnn.augment.base import Augmentation
from gpucnn.backend import Array, Device
from gpucnn.data.base import Source
from gpucnn.data.normalize import Normalize, scaled
from gpucnn.errors import ArgumentError, DataError
from gpucnn.random import Stream

Batches: TypeAlias = Generator[tuple[Array, Array], None, None]

_AHEAD = 2  # batches that wait for the consumer, beside those that the workers prepare


class Loader:
    """The images at `indices` of a source, as batches that depend on (seed, epoch, number of the batch) alone.

    source: a split. indices: which of its images, int64. batch_size: how many in a batch; the last one of an epoch
    keeps what is left. augment: changes to training images, in order; each draws from
    Stream(seed, "augment.<place>.<name>", epoch) by the images' indices in the source. normalize: None leaves images
    as they are, uint8 ones divided by 255. shuffle: a new order each epoch, Stream(seed, "shuffle", epoch). workers:
    threads that prepare batches ahead; 0 prepares each as it is asked for. Their number changes nothing but the speed.

    >>> from gpucnn.data.synthetic import Synthetic
    >>> source = Synthetic(train=10).load("train")
    >>> loader = Loader(source, np.arange(10), 4, seed=0, shuffle=True)
    >>> [(x.shape, x.dtype.name, labels.shape) for x, labels in loader.batches(epoch=0)]
    [((4, 8, 8, 1), 'float32', (4,)), ((4, 8, 8, 1), 'float32', (4,)), ((2, 8, 8, 1), 'float32', (2,))]
    """

    def __init__(
        self,
        source: Source,
        indices: Array,
        batch_size: int,
        *,
        seed: int,
        augment: Sequence[Augmentation] = (),
        normalize: Normalize | None = None,
        device: Device = Device("cpu"),  # noqa: B008 - frozen
        dtype: Any = np.float32,
        shuffle: bool,
        workers: int = 1,
    ) -> None:
        indices = np.asarray(indices)
        if batch_size < 1:
            raise ArgumentError(f"batch_size (={batch_size}) must be at least 1")
        if workers < 0:
            raise ArgumentError(f"workers (={workers}) must be at least 0")
        if not indices.size:
            raise DataError("there are no images to load: the split, or what validation leaves of it, is empty")
        if indices.min() < 0 or indices.max() >= len(source):
            raise ArgumentError(f"indices must be from 0 to {len(source) - 1}; got {indices.min()} to {indices.max()}")
        self.source, self.indices, self.batch_size, self.seed = source, indices, batch_size, seed
        self.augment, self.normalize = tuple(augment), normalize
        self.device, self.dtype, self.shuffle, self.workers = device, dtype, shuffle, workers

    def __len__(self) -> int:
        return -(-self.images // self.batch_size)

    @property
    def images(self) -> int:
        """How many images an epoch has."""
        return len(self.indices)

    def batches(self, epoch: int, start: int = 0) -> Batches:
        """Yield (x, labels) of every batch from number `start` on: x (N, H, W, C) of the run's dtype, labels int64.

        What fails in a worker is raised here. Closing the iterator, or leaving its loop, ends its threads.
        """
        with closing(self.prepared(epoch, start)) as prepared:
            for x, labels in prepared:
                yield self.device.asarray(x), self.device.asarray(labels)

    def prepared(self, epoch: int, start: int = 0) -> Batches:
        """Return what `batches` yields, still on the host."""
        order = self.order(epoch)
        firsts = range(start * self.batch_size, len(order), self.batch_size)
        chosen = (order[first : first + self.batch_size] for first in firsts)
        return self._ahead(chosen, epoch) if self.workers else (self._prepare(batch, epoch) for batch in chosen)

    def order(self, epoch: int) -> Array:
        """Return the indices of the images in the order in which the epoch visits them."""
        if not self.shuffle:
            return self.indices
        return self.indices[Stream(self.seed, "shuffle", epoch).permutation(self.images)]

    def stream(self, place: int, epoch: int) -> Stream:
        """Return the numbers that the augmentation at `place` draws in an epoch."""
        return Stream(self.seed, f"augment.{place}.{self.augment[place].name}", epoch)

    def _ahead(self, chosen: Iterator[Array], epoch: int) -> Batches:
        """Yield the prepared batches in order, while threads prepare the next ones: a bounded number of them."""
        executor = ThreadPoolExecutor(self.workers, thread_name_prefix="gpucnn-loader")
        waiting: deque[Future[tuple[Array, Array]]] = deque()
        try:
            for batch in chosen:
                waiting.append(executor.submit(self._prepare, batch, epoch))
                if len(waiting) >= self.workers + _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)

    def _prepare(self, indices: Array, epoch: int) -> tuple[Array, Array]:
        """Return one batch, in host memory."""
        images = self.source.read(indices)
        for place, augmentation in enumerate(self.augment):
            images = augmentation.apply(images, indices, self.stream(place, epoch))
        x = scaled(images, self.dtype) if self.normalize is None else self.normalize.apply(images, self.dtype)
        return x, self.source.labels[indices]
