"""Times are those between events of the device."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from cushim import cupy_stand_in

from benchmarks.gpu.clock import Clock, Way
from gpucnn.backend import Device


class TestClock:
    @pytest.fixture
    def clock(self, cupy, monkeypatch):
        """A device on which a second passes with every event, and which notes what it was asked to do."""
        events: list[str] = []

        class Event:
            def record(self) -> None:
                events.append("event")
                self.at = len([e for e in events if e == "event"])

            def synchronize(self) -> None: ...

        monkeypatch.setattr(cupy.cuda, "Event", Event, raising=False)
        elapsed = lambda first, last: 1000.0 * (last.at - first.at)  # noqa: E731
        monkeypatch.setattr(cupy.cuda, "get_elapsed_time", elapsed, raising=False)
        kernel = lambda grid, block, args: events.append(f"spin {args[0].dtype}")  # noqa: E731
        monkeypatch.setattr(type(cupy), "RawKernel", lambda self, text, name: kernel, raising=False)
        known = [{"clock_khz": 1_000_000, "l2_bytes": 0}]
        for user in ("benchmarks.gpu.clock", "gpucnn.cuda.spin"):
            monkeypatch.setattr(f"{user}.devices", lambda: known)
        clock = Clock(Device("cuda", 0))
        return SimpleNamespace(clock=clock, events=events)

    def test_times_are_those_between_events(self, clock):
        assert clock.clock.called(lambda i: None, 4) == 0.25
        assert clock.clock.cache_bytes == 2**26

    def test_work_is_queued_behind_a_kernel_that_keeps_the_device_busy(self, clock):
        calls: list[int] = []
        clock.clock.queued(lambda i: calls.append(i) or clock.events.append("call"), 2)
        assert clock.events == ["call", "call", "spin int64", "event", "call", "call", "event"]
        assert calls == [0, 1, 0, 1]

    def test_contenders_take_turns(self, clock):
        order: list[str] = []
        ways = {name: Way(lambda i: None, lambda name=name: order.append(name)) for name in "ab"}
        times = clock.clock.interleaved(ways, rounds=3, seconds=0.0)
        assert order == ["a", "b"] + ["a", "b"] * 3
        assert {name: {kind: len(v) for kind, v in found.items()} for name, found in times.items()} == {
            name: {"queued": 3} for name in "ab"
        }

    def test_the_hosts_clock_waits_for_all_streams(self, clock, monkeypatch):
        """A call that returns at once, and whose work takes 6 s: it is done when the device has come to rest."""
        now, waiting = [0.0], [0]

        def synchronize(self: Any) -> None:
            now[0], waiting[0] = now[0] + 6.0 * waiting[0], 0

        monkeypatch.setattr("benchmarks.gpu.clock.time", SimpleNamespace(perf_counter=lambda: now[0]))
        monkeypatch.setattr(cupy_stand_in.Device, "synchronize", synchronize)
        waiting[0] = 1  # what others left
        call = lambda i: waiting.__setitem__(0, waiting[0] + 1)  # noqa: E731
        assert clock.clock.wall(call, 4) == 6.0
