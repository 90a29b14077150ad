"""Streams, events, memory pools and captures of CuPy's stand-in.

What is called runs at once, but for copies between the device and pinned memory: they arrive at the last moment that is
allowed, when somebody waits for them, and until then the host finds 0xFF. While the current stream is captured, what
is called is recorded and not run: its results exist, full of NaN, and every replay computes them in the same memory.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Work = Callable[[], Any]

_current: list[Stream] = []
_allocators: list[Any] = []

REFUSED = "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"


class Graph:
    """What a stream recorded."""

    def __init__(self) -> None:
        self.works: list[Work] = []
        self.launches = 0

    def launch(self, stream: Stream | None = None) -> None:
        refuse_while_capturing()
        self.launches += 1
        for work in self.works:
            work()

    def upload(self, stream: Stream | None = None) -> None: ...


class Stream:
    """A queue of copies that were not waited for yet; all else has run."""

    def __init__(self, non_blocking: bool = False) -> None:
        self.graph: Graph | None = None
        self._copies: list[Work] = []
        self._begun = 0  # how many copies have left the queue

    def __enter__(self) -> Stream:
        _current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _current.pop()

    def begin_capture(self, mode: Any = None) -> None:
        assert _allocators, "what is captured needs memory that nobody else takes"
        assert _current[-1:] == [self]
        assert self.graph is None
        self.graph = Graph()

    def end_capture(self) -> Graph:
        assert self.graph is not None
        graph, self.graph = self.graph, None
        return graph

    def queue(self, copy: Work) -> None:
        self._copies.append(copy)

    def queued(self) -> int:
        """Return how many copies were ever queued."""
        return self._begun + len(self._copies)

    def run(self, until: int) -> None:
        """Let the copies queued before a moment arrive."""
        while self._begun < until:
            self._copies.pop(0)()
            self._begun += 1

    def synchronize(self) -> None:
        refuse_while_capturing()
        self.run(self.queued())

    def wait_event(self, event: Event) -> None:
        event.arrive()


class Event:
    """A moment of a stream, and of the host's clock."""

    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self._stream: Stream | None = None
        self._until = 0

    def record(self, stream: Stream | None = None) -> None:
        self.seconds = time.perf_counter()
        self._stream = stream or (_current[-1] if _current else None)
        self._until = self._stream.queued() if self._stream else 0

    def arrive(self) -> None:
        if self._stream:
            self._stream.run(self._until)

    def synchronize(self) -> None:
        refuse_while_capturing()
        self.arrive()


class Pointer:
    """Where an array's memory is."""

    def __init__(self, host: np.ndarray) -> None:
        self._host, self.ptr = host, host.ctypes.data

    def copy_to_host_async(self, to: ctypes.c_void_p, size: int, stream: Stream) -> None:
        found = self._host.tobytes()[:size]
        ctypes.memset(to, 0xFF, size)
        stream.queue(lambda: ctypes.memmove(to, found, size))

    def copy_from_host_async(self, source: ctypes.c_void_p, size: int, stream: Stream) -> None:
        stream.queue(lambda: ctypes.memmove(self._host.ctypes.data, source, size))


class MemoryPool:
    """Only whether one is in use is known: memory that is recorded is never used for anything else."""

    def malloc(self, size: int) -> None: ...

    def free_all_blocks(self) -> None: ...


@contextmanager
def using_allocator(allocator: Any) -> Iterator[None]:
    _allocators.append(allocator)
    try:
        yield
    finally:
        _allocators.pop()


def queued(work: Work) -> None:
    """Run work that changes arrays, or record it."""
    graph = _captured()
    if graph is None:
        work()
    else:
        graph.works.append(work)


def made(work: Work, read: list[np.ndarray], name: str) -> Any:
    """Return what work makes of the arrays that it reads, and record it where the stream is captured.

    Views of what is read are no work.
    """
    graph = _captured()
    if graph is None:
        return work()
    with np.errstate(all="ignore"):
        found = work()
    if not isinstance(found, (np.ndarray, np.generic)):
        return found
    array = np.asarray(found)
    if any(np.shares_memory(array, one) for one in read):
        return array
    array = np.array(array)
    array.fill(np.nan if array.dtype.kind == "f" else 0x7F if array.dtype.kind in "iu" else True)
    if name not in ("empty", "empty_like"):
        graph.works.append(lambda: np.copyto(array, work()))
    return array


def refuse_while_capturing() -> None:
    """Raise as CUDA does for what needs the host."""
    if _captured() is not None:
        raise RuntimeError(REFUSED)


def _captured() -> Graph | None:
    return _current[-1].graph if _current else None
