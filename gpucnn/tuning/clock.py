"""Times of short work on a CUDA device: a few calls become one CUDA graph, whose replays wait for nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gpucnn.backend import Device
from gpucnn.cuda import machine

Call = Callable[[], object]

Timer = Callable[[], float]
"""Does calls once more, and returns the seconds of one."""

USUAL_CACHE = 2**26
"""Bytes of the last cache where CUDA does not tell."""


class Clock(Protocol):
    """What times calls. cache_bytes: the size of the device's last cache. free_bytes: of its memory."""

    cache_bytes: int

    @property
    def free_bytes(self) -> int:
        """Bytes of the device's memory that nothing uses."""

    def timer(self, calls: Sequence[Call]) -> Timer:
        """Return what times these calls, made one after the other; raises what a call raises."""

    def release(self) -> None:
        """Give memory back that timers needed; they must not be used any more."""


class GraphClock:
    """Times CUDA graphs on one device, by its own events.

    What calls allocate comes from a memory pool of its own: a graph's replays write to it long after the calls have
    given it back.
    """

    def __init__(self, device: Device) -> None:
        self._device, self._cuda = device, device.xp.cuda
        self._stream = self._cuda.Stream(non_blocking=True)
        self._pool = self._cuda.MemoryPool()
        self.cache_bytes = int(machine.device(device.index)["l2_bytes"] or USUAL_CACHE)

    @property
    def free_bytes(self) -> int:
        """Bytes of the device's memory that nothing uses."""
        return self._device.free_memory()

    def timer(self, calls: Sequence[Call]) -> Timer:
        """Return what times these calls; raises what a call raises.

        They are made twice: once to compile and to find out whether they work, once to be captured.
        """
        cuda, stream = self._cuda, self._stream
        cuda.Device().synchronize()  # what calls read is there
        with cuda.using_allocator(self._pool.malloc), stream:
            _made(calls)
            stream.synchronize()
            stream.begin_capture()
            try:
                _made(calls)
            finally:
                graph = stream.end_capture()
        first, last = cuda.Event(), cuda.Event()

        def timed() -> float:
            first.record(stream)
            graph.launch(stream)
            last.record(stream)
            last.synchronize()
            return float(cuda.get_elapsed_time(first, last)) / 1000 / len(calls)

        timed()  # the first launch brings the graph to the device
        return timed

    def release(self) -> None:
        """Give memory back that timers needed; they must not be used any more."""
        self._stream.synchronize()
        self._pool.free_all_blocks()
        self._device.release()


def _made(calls: Sequence[Call]) -> None:
    for call in calls:
        call()


def clock(device: Device) -> Clock:
    """Return the clock of a CUDA device."""
    return GraphClock(device)
