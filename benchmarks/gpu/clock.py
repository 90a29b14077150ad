"""Times on the device, by its own events, of several ways to do the same, which take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpucnn.backend import Device
from gpucnn.cuda.machine import devices
from gpucnn.cuda.spin import Spin

MOST_CALLS = 100
"""In a turn: a queue takes about a thousand kernels, and a call is several."""

QUEUED, CALLED, WALL = "queued", "called", "wall"
"""What can be measured of a way; each is a method of `Clock`."""


@dataclass(frozen=True)
class Way:
    """One of those that take turns.

    call: does it once, and is given how often it did, so that it may take other arrays each time. prepare: before a
    turn, for settings.
    """

    call: Callable[[int], Any]
    prepare: Callable[[], Any] = lambda: None


class Clock:
    """Times on one device: PyTorch and CuPy both work on its default stream, where these events are recorded.

    cache_bytes: the size of its last cache.
    """

    def __init__(self, device: Device) -> None:
        self.cuda: Any = device.xp.cuda
        self._spin = Spin(device)
        self.cache_bytes = int(devices()[device.index]["l2_bytes"] or 2**26)

    def queued(self, call: Callable[[int], Any], calls: int) -> float:
        """Return the seconds of a call where the device never waits for the host: what the kernels take."""
        began = time.perf_counter()
        for i in range(calls):
            call(i)
        enqueued = time.perf_counter() - began
        self.cuda.Device().synchronize()
        self._spin(2 * enqueued + 0.0005)
        return self.called(call, calls, synchronize=False)

    def called(self, call: Callable[[int], Any], calls: int, *, synchronize: bool = True) -> float:
        """Return the seconds of a call as Python makes them, one after the other."""
        first, last = self.cuda.Event(), self.cuda.Event()
        if synchronize:
            self.cuda.Device().synchronize()
        first.record()
        for i in range(calls):
            call(i)
        last.record()
        last.synchronize()
        return float(self.cuda.get_elapsed_time(first, last)) / 1000 / calls

    def wall(self, call: Callable[[int], Any], calls: int) -> float:
        """Return the seconds of a call by the host's clock, from a device at rest to a device at rest.

        It sees the work of every stream, so that it is fair to libraries that have streams of their own.
        """
        self.cuda.Device().synchronize()
        began = time.perf_counter()
        for i in range(calls):
            call(i)
        self.cuda.Device().synchronize()
        return (time.perf_counter() - began) / calls

    def interleaved(
        self, ways: Mapping[str, Way], *, rounds: int, seconds: float, kinds: Sequence[str] = (QUEUED,)
    ) -> dict[str, dict[str, list[float]]]:
        """Return for each way its seconds a call, of each kind, one figure for each round.

        A turn is as many calls as take about `seconds` once they are warm: at least one, at most `MOST_CALLS`.
        """
        calls = {name: self._warm_up(way, seconds) for name, way in ways.items()}
        times: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in kinds} for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                way.prepare()
                way.call(0)
                for kind in kinds:
                    times[name][kind].append(getattr(self, kind)(way.call, calls[name]))
        return times

    def _warm_up(self, way: Way, seconds: float) -> int:
        """Call until compilers and searches for the best algorithm are done; return how many calls a turn has."""
        way.prepare()
        times = [self.wall(way.call, 1) for _ in range(4)]
        while sum(times[1:]) < seconds and len(times) < MOST_CALLS:
            times.append(self.wall(way.call, 1))
        return min(MOST_CALLS, max(1, round(seconds / min(times))))
