"""The clock of CUDA graphs, over a CuPy that notes what it is asked for."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gpucnn.backend import Device
from gpucnn.cuda import machine
from gpucnn.tuning.clock import USUAL_CACHE, GraphClock


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What CuPy was asked for, in order; an event is 3 ms after the one before."""
    log: list[str] = []

    class Stream:
        def __init__(self, non_blocking: bool) -> None:
            assert non_blocking

        def __enter__(self) -> None:
            log.append("stream")

        def __exit__(self, *_: object) -> None:
            log.append("end of stream")

        def begin_capture(self) -> None:
            log.append("capture")

        def end_capture(self) -> Any:
            log.append("captured")
            return SimpleNamespace(launch=lambda stream: log.append("replay"))

        def synchronize(self) -> None:
            log.append("wait")

    class Event:
        def record(self, stream: Stream) -> None:
            assert isinstance(stream, Stream)
            log.append("event")

        def synchronize(self) -> None:
            log.append("await event")

    class Pool:
        def malloc(self) -> None: ...

        def free_all_blocks(self) -> None:
            log.append("free")

    @contextmanager
    def using_allocator(malloc: Any) -> Any:
        log.append("pool")
        yield
        log.append("end of pool")

    cuda = SimpleNamespace(
        Stream=Stream, Event=Event, MemoryPool=Pool, using_allocator=using_allocator,
        Device=lambda *_: SimpleNamespace(synchronize=lambda: log.append("wait for all"), mem_info=(70, 100)),
        get_elapsed_time=lambda first, last: 3.0,
    )  # fmt: skip
    cupy = ModuleType("cupy")
    vars(cupy).update(
        cuda=cuda, get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: 5, free_all_blocks=lambda: None)
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(machine, "device", lambda index: {"l2_bytes": 0})
    return log


def test_calls_are_made_once_captured_once_and_replayed(asked):
    clock = GraphClock(Device("cuda"))
    assert (clock.cache_bytes, clock.free_bytes) == (USUAL_CACHE, 75)
    timer = clock.timer([lambda: asked.append("a"), lambda: asked.append("b"), lambda: asked.append("c")])
    made = ["wait for all", "pool", "stream", "a", "b", "c", "wait", "capture", "a", "b", "c", "captured"]
    replay = ["event", "replay", "event", "await event"]
    assert asked == [*made, "end of stream", "end of pool", *replay]
    asked.clear()
    assert timer() == pytest.approx(0.001)
    assert asked == replay
    asked.clear()
    clock.release()
    assert asked == ["wait", "free"]


def test_what_a_call_raises_is_raised_and_no_capture_stays_open(asked):
    turns = iter([None, RuntimeError("no")])

    def call() -> None:
        if error := next(turns):
            raise error

    with pytest.raises(RuntimeError, match="no"):
        GraphClock(Device("cuda")).timer([call])
    assert asked[-2:] == ["captured", "end of stream"]
