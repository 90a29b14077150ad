"""Work that is recorded as a CUDA graph and replayed, and copies that wait for nobody: how CuPy does it.

A graph reads and writes where its arrays were when it was recorded. They are taken from a memory pool that nobody else
takes from, so that replays in one stream meet no other's arrays.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from gpucnn.backend import Array, Device, Shape
from gpucnn.constants import Kept

Work = Callable[[], None]


class Recorder:
    """A stream of its own, which waits for no other, and memory for what runs in it and is recorded."""

    def __init__(self, device: Device) -> None:
        self.cuda: Any = device.xp.cuda
        self.stream = self.cuda.Stream(non_blocking=True)
        self._pool, self._kept = self.cuda.MemoryPool(), Kept(self.cuda)

    def begin(self) -> None:
        """Wait until what other streams do is done: this one waits for none."""
        self.cuda.Device().synchronize()

    def release(self) -> None:
        """Give back the memory of which no array is left."""
        self.stream.synchronize()
        self._pool.free_all_blocks()

    @contextmanager
    def memory(self) -> Iterator[None]:
        """While entered, the stream is the current one, and arrays are made in its memory."""
        with self.cuda.using_allocator(self._pool.malloc), self.stream:
            yield

    def record(self, work: Work) -> Work:
        """Return what replays `work` in the stream; it is recorded by being called, and not run.

        What it raises goes on to the caller: nothing has been computed then.
        """
        with self.memory(), self._kept.keeping():
            self.stream.begin_capture()
            try:
                work()
            except BaseException:
                with suppress(Exception):  # a capture that failed has to be ended, which fails again
                    self.stream.end_capture()
                raise
            graph = self.stream.end_capture()
            graph.upload(self.stream)
        return lambda: graph.launch(self.stream)


def pinned(cuda: Any, shape: Shape, dtype: Any) -> Array:
    """Return a NumPy array in memory that is copied to and from the device without waiting. cuda: `cupy.cuda`."""
    count = int(np.prod(shape))
    memory = cuda.alloc_pinned_memory(max(1, count * np.dtype(dtype).itemsize))
    return np.frombuffer(memory, dtype, count).reshape(shape)


def fetch(array: Any, host: Array, stream: Any) -> None:
    """Queue a copy of an array to a pinned one, whole or its beginning."""
    array.data.copy_to_host_async(ctypes.c_void_p(host.ctypes.data), host.nbytes, stream)


def send(host: Array, array: Any, stream: Any) -> None:
    """Queue a copy of a pinned array to one on the device, which is as large."""
    array.data.copy_from_host_async(ctypes.c_void_p(host.ctypes.data), host.nbytes, stream)
