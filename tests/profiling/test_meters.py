"""Clocks give every second to the innermost part under way, and to it alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gpucnn.profiling import meters
from gpucnn.profiling.meters import DeviceClock, HostClock
from gpucnn.profiling.seams import Part

OUTER, INNER = Part("0.residual", "forward"), Part("0.residual.layers.0.relu", "forward")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The host's time, to be set."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(meters, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def test_the_outer_part_pauses_while_an_inner_one_is_under_way(at: Any) -> None:
    clock = HostClock()
    for now, call, part in [
        (1, clock.begin, OUTER), (3, clock.begin, INNER), (7, None, INNER), (8, clock.begin, INNER), (16, None, INNER),
        (32, None, OUTER), (100, clock.begin, INNER), (164, None, INNER),
    ]:  # fmt: skip
        at.now = float(now)
        if call:
            call(part)
        else:
            clock.end(part, None, (), None)
    assert clock.seconds == {OUTER: 2 + 1 + 16, INNER: 4 + 8 + 64}


def test_a_part_that_fails_ends_all_the_same(at: Any) -> None:
    clock = HostClock()
    clock.begin(OUTER)
    at.now = 1.0
    clock.begin(INNER)
    at.now = 3.0
    clock.abandon()
    clock.abandon()
    at.now = 7.0
    clock.begin(INNER)
    assert clock.seconds == {OUTER: 1, INNER: 2}


def test_a_device_is_kept_busy_before_each_piece_and_this_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes on the device alone: as long as it spins, and as what is launched takes."""
    device = SimpleNamespace(now=0.0, spun=[])

    class Event:
        def record(self) -> None:
            self.at = device.now

    class Spin:
        def __init__(self, _: Any) -> None: ...

        def __call__(self, seconds: float) -> None:
            device.spun.append(seconds)
            device.now += seconds

    cuda = SimpleNamespace(
        Event=Event,
        get_elapsed_time=lambda first, last: 1000 * (last.at - first.at),
        Device=lambda: SimpleNamespace(synchronize=lambda: None),
    )
    monkeypatch.setattr(meters, "Spin", Spin)
    clock = DeviceClock(SimpleNamespace(xp=SimpleNamespace(cuda=cuda)), {OUTER: 3.0, INNER: 5.0})
    clock.begin(OUTER)
    device.now += 1
    clock.begin(INNER)
    device.now += 2
    clock.end(INNER, None, (), None)
    device.now += 4
    clock.end(OUTER, None, (), None)
    device.now += 100
    assert clock.seconds == {OUTER: pytest.approx(5), INNER: pytest.approx(2)}
    assert device.spun == [pytest.approx(2 * seconds + 20e-6) for seconds in (3.0, 5.0, 3.0)]
