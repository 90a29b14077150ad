"""Batches for steps that are queued ahead: each step finds its own where the graph looks for it."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from gpucnn import ops
from gpucnn.backend import Array
from gpucnn.cuda.graph import pinned, send
from gpucnn.cuda.step import Ledger
from gpucnn.data.loader import Batches, Loader
from gpucnn.data.resident import ResidentLoader
from gpucnn.frames import FIELDS

_Place = tuple[int, int]
"""An epoch, and the number of a batch in it."""


class _Tables(NamedTuple):
    """Which images the batches from a place on are of, and their frames, where the device does not draw them."""

    place: _Place
    indices: Array
    frames: Array | None


class ResidentFeed:
    """Batches gathered on the device that holds the images, from tables of indices and frames.

    The tables are of many batches; the ledger counts which one is next. Those that come after them are drawn meanwhile,
    in a thread, and so are the first ones of the next epoch.
    """

    def __init__(self, loader: ResidentLoader, ledger: Ledger) -> None:
        self._loader, self._ledger, xp = loader, ledger, loader.device.xp
        self._indices = xp.zeros(loader.drawn, np.int64)
        self._frames = xp.zeros((loader.drawn, len(loader.augment), len(FIELDS)), np.int32)
        self._scale, self._shift = loader.affine()
        self._next: _Place | None = None  # that of the batch that is laid out behind those that were queued
        self._left = 0
        self._source: Iterator[_Tables] = iter(())
        self._ahead: Future[_Tables] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gpucnn-feed")

    def batch(self) -> tuple[Array, Array]:
        """Return the batch of the step under way: a part of the graph."""
        resident, size = self._loader.resident, self._loader.batch_size
        tables = self._indices, self._frames, self._scale, self._shift
        now = self._ledger.batch
        return ops.gather(resident.images, resident.labels, *tables, batch=now, size=size, dtype=self._loader.dtype)

    def lay_out(self, epoch: int, batch: int, most: int) -> int:
        """Make ready the next batches, from this one on; return how many steps may be queued now, at most `most`."""
        if not self._left or self._next != (epoch, batch):
            tables = self._drawn((epoch, batch))
            indices, frames = self._loader.there(tables.indices, tables.frames, epoch)
            self._indices[: len(indices)] = indices
            self._frames[: len(frames)] = frames
            self._ledger.batch.fill(0)
            self._left = len(indices) // self._loader.batch_size
        count = min(most, self._left)
        self._next, self._left = (epoch, batch + count), self._left - count
        return count

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _drawn(self, place: _Place) -> _Tables:
        """Return the tables that begin at a place, and let those after them be drawn."""
        tables = self._ahead.result() if self._ahead else None
        if tables is None or tables.place != place:
            self._source = self._tables(*place)
            tables = next(self._source)
        self._ahead = self._thread.submit(next, self._source)
        return tables

    def _tables(self, epoch: int, batch: int) -> Iterator[_Tables]:
        """Yield the tables of whole batches from a place on, epoch after epoch."""
        for number in itertools.count(epoch):
            for indices, frames in self._loader.chosen(number, batch):
                if whole := len(indices) // self._loader.batch_size:
                    yield _Tables((number, batch), indices, frames)
                batch += whole
            batch = 0


class _Slot:
    """Room for one batch on its way: pinned on the host, and on the device."""

    def __init__(self, cuda: Any, x: Array, labels: Array) -> None:
        self.device = (x.copy(), labels.copy())
        self.host = tuple(pinned(cuda, array.shape, array.dtype) for array in self.device)
        self.there, self.free = (cuda.Event(disable_timing=True) for _ in range(2))
        self.free.record()


class StreamedFeed:
    """Batches prepared on the host, copied to the device while the steps before them are computed.

    stream: in which the steps run. A batch goes through one of two pinned buffers, by a copy that runs beside the
    steps, and from there to where the graph reads it.
    """

    def __init__(self, loader: Loader, stream: Any) -> None:
        self._loader, self._stream, device = loader, stream, loader.device
        shape = loader.source.read(np.arange(1)).shape[1:]
        self._own: tuple[Array, Array] = (
            device.xp.zeros((loader.batch_size, *shape), loader.dtype),
            device.xp.zeros(loader.batch_size, np.int64),
        )
        self._copies = device.xp.cuda.Stream(non_blocking=True)
        self._slots = [_Slot(device.xp.cuda, *self._own) for _ in range(2)]
        self._next: _Place | None = None
        self._prepared: Batches | None = None

    def batch(self) -> tuple[Array, Array]:
        """Return the batch of the step under way: where the graph reads it."""
        return self._own

    def lay_out(self, epoch: int, batch: int, most: int) -> int:
        """Make ready one batch; return 1, the steps that may be queued now."""
        if self._next != (epoch, batch) or self._prepared is None:
            self.close()
            self._prepared = self._loader.prepared(epoch, batch)
        slot = self._slots[batch % 2]
        given = next(self._prepared)
        slot.free.synchronize()  # the step before the last has taken its batch from here
        for host, own, values in zip(slot.host, slot.device, given, strict=True):
            host[...] = values
            send(host, own, self._copies)
        slot.there.record(self._copies)
        self._stream.wait_event(slot.there)
        for own, target in zip(slot.device, self._own, strict=True):
            target[...] = own
        slot.free.record(self._stream)
        self._next = (epoch, batch + 1)
        return 1

    def close(self) -> None:
        """End the threads that prepare batches."""
        if isinstance(self._prepared, Generator):
            self._prepared.close()
        self._prepared = self._next = None


Feed = ResidentFeed | StreamedFeed


def feed(loader: Loader, ledger: Ledger, stream: Any) -> Feed:
    """Return what feeds the steps that run in `stream` with a loader's batches."""
    return ResidentFeed(loader, ledger) if isinstance(loader, ResidentLoader) else StreamedFeed(loader, stream)
