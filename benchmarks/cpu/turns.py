"""gpucnn and PyTorch by turns, each contender in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.processes import PYTHON, Failed
from benchmarks.report import seconds as as_seconds
from benchmarks.report import spread

OURS = "gpucnn"
EAGER = ["PyTorch eager NCHW", "PyTorch eager channels_last"]
COMPILED = ["PyTorch compiled NCHW", "PyTorch compiled channels_last"]
KEPT = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:"
    "glibc.malloc.trim_threshold=100000000000:glibc.malloc.top_pad=268435456"
}
"""Lets the C library keep freed memory, which PyTorch gains a fifth by."""
WITH_KEPT = ", kept memory"
"""Ends the name of a contender that runs with it."""

REST = 0.25
"""Seconds between turns: threads of others' pools spin for a while before they sleep."""

COMPARED = ["ours", "PyTorch", "ratio", "spread", "goal", "PyTorch's best"]
"""Heads of the columns that `compared` fills."""

Times = dict[str, list[float]]
"""One figure a round of each contender, ours first; the smaller the better."""


@dataclass(frozen=True)
class Settings:
    """What all parts have in common. peers: PyTorch's forms that are measured; missing: what is not, and why."""

    threads: int
    rounds: int
    seconds: float
    peers: Sequence[str]
    missing: Sequence[str]


@dataclass(frozen=True)
class Part:
    """What a part found: for the file, and as a table."""

    measured: Any
    heads: list[str]
    rows: list[list[str]]


def peers(*, compiled: bool) -> tuple[list[str], list[str]]:
    """Return the names of PyTorch's forms, and what is missing."""
    if importlib.util.find_spec("torch") is None:
        return [], ["PyTorch (not installed)"]
    return (EAGER + COMPILED, []) if compiled else (EAGER, ["torch.compile (--compile)"])


def environments(names: Sequence[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return for each contender, ours first and each peer twice, what the worker is told and what it runs with."""
    found: dict[str, tuple[str, dict[str, str]]] = {OURS: (OURS, {})}
    for name in names:
        found |= {name: (name, {}), f"{name}{WITH_KEPT}": (name, KEPT)}
    return found


def measure(what: str, methods: Mapping[str, str], settings: Settings) -> dict[str, Times]:
    """Return for each method, by its label, and contender its seconds a call."""
    workers = {}
    try:
        for name, (told, environment) in environments(settings.peers).items():
            workers[name] = Worker(what, told, settings.threads, environment)
        times: dict[str, Times] = {label: {name: [] for name in workers} for label in methods}
        for label, method in methods.items():
            for _ in range(settings.rounds):
                for name, worker in workers.items():
                    times[label][name].append(worker.turn(method, settings.seconds))
                    time.sleep(REST)
        return times
    finally:
        for worker in workers.values():
            worker.close()


def best_peer(times: Times) -> str | None:
    """Return the name of the peer whose median is smallest; None without peers."""
    return min((name for name in times if name != OURS), key=lambda name: median(times[name]), default=None)


def ratios(times: Times) -> list[float]:
    """Return ours divided by the best peer's in each round: below 1 where ours is less. Empty without peers."""
    peer = best_peer(times)
    return [] if peer is None else [own / other for own, other in zip(times[OURS], times[peer], strict=True)]


def compared(times: Times, goal: float | None, unit: Any = as_seconds) -> list[str]:
    """Return the cells of a row of the table: see COMPARED."""
    peer, own = best_peer(times), unit(median(times[OURS]))
    wanted = "-" if goal is None else f"{goal}"
    if peer is None:
        return [own, "-", "-", "-", wanted, "-"]
    found = ratios(times)
    name = peer.removeprefix("PyTorch ")
    return [own, unit(median(times[peer])), f"{median(found):.2f}", spread(found), wanted, name]


class Worker:
    """A contender in a process of its own: see `benchmarks.cpu.worker`."""

    def __init__(self, what: str, name: str, threads: int, environment: dict[str, str]) -> None:
        self.name = name
        command = [PYTHON, "-m", "benchmarks.cpu.worker", what, name, str(threads)]
        pipe, variables = subprocess.PIPE, {**os.environ, **environment}
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=variables)
        self._answer()

    def turn(self, method: str, seconds: float) -> float:
        """Return the median time of calls of a method."""
        assert self._process.stdin
        self._process.stdin.write(f"{method} {seconds}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise Failed(f"{self.name} ended with exit code {self._process.returncode}")
        return line
