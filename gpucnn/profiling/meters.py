"""Clocks that cut a step's time into the times of its parts: without gap and overlap, so that they add up to it.

Time goes to the innermost part under way: a residual block's own is what its layers leave, the addition.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from gpucnn.backend import Device
from gpucnn.cuda.spin import Spin
from gpucnn.profiling.seams import Part

Seconds = dict[Part, float]


class HostClock:
    """The processor's time: what computes on the CPU, and what it takes to launch work on a GPU."""

    def __init__(self) -> None:
        self.seconds: Seconds = defaultdict(float)
        self._open: list[Part] = []
        self._last = 0.0

    def begin(self, part: Part) -> None:
        """Begin a part; the one around it pauses."""
        self._cut()
        self._open.append(part)

    def end(self, part: Part, owner: Any, arguments: Any, result: Any) -> None:
        """End the part; the one around it goes on."""
        self._cut()
        self._open.pop()

    def abandon(self) -> None:
        """End the part."""
        self.end(self._open[-1], None, None, None)

    def _cut(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._last
        self._last = now


class DeviceClock:
    """A GPU's own time, by events: what the kernels of a part take where they never wait for Python.

    For that, the device is kept busy before each part while Python launches its work; `seconds` of these pauses are
    left out. host: how long launching each part took, from which the pauses follow.
    """

    def __init__(self, device: Device, host: Mapping[Part, float]) -> None:
        self._cuda, self._host, self._spin = device.xp.cuda, host, Spin(device)
        self._open: list[Part] = []
        self._pieces: list[tuple[Part, Any, Any]] = []
        self._first: Any = None

    def begin(self, part: Part) -> None:
        """Begin a part; the one around it pauses."""
        self._cut()
        self._open.append(part)
        self._start()

    def end(self, part: Part, owner: Any, arguments: Any, result: Any) -> None:
        """End the part; the one around it goes on."""
        self._cut()
        self._open.pop()
        self._start()

    def abandon(self) -> None:
        """End the part."""
        self.end(self._open[-1], None, None, None)

    @property
    def seconds(self) -> Seconds:
        """The parts' seconds, once the device is done."""
        self._cuda.Device().synchronize()
        found: Seconds = defaultdict(float)
        for part, first, last in self._pieces:
            found[part] += float(self._cuda.get_elapsed_time(first, last)) / 1000
        return found

    def _cut(self) -> None:
        if self._open:
            self._pieces.append((self._open[-1], self._first, self._event()))

    def _start(self) -> None:
        if self._open:
            self._spin(2 * self._host.get(self._open[-1], 0.0) + 20e-6)
            self._first = self._event()

    def _event(self) -> Any:
        event = self._cuda.Event()
        event.record()
        return event
