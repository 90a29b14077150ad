"""Timing of several ways to do the same, taking turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def interleaved(ways: Mapping[str, Callable[[], None]], *, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return for each way its seconds a call, one mean for each round.

    In a round each way has one turn: a call that is not timed, for caches and for the other's threads to come to rest,
    then as many calls as took `seconds` (at least one) when all ways were warmed up, before the first round.
    """
    calls = {name: max(1, round(seconds / _warm_up(way, seconds))) for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            way()
            times[name].append(_mean(way, calls[name]))
    return times


def _warm_up(way: Callable[[], None], seconds: float) -> float:
    """Call for about `seconds`, three times at least; return the time of the fastest call."""
    times = [_mean(way, 1) for _ in range(3)]
    while sum(times) < seconds:
        times.append(_mean(way, 1))
    return min(times)


def _mean(way: Callable[[], None], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        way()
    return (time.perf_counter() - started) / calls
