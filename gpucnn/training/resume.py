"""Going on from a checkpoint: only with the same experiment, and exactly where it was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpucnn.backend import Array, Device
from gpucnn.errors import CheckpointError, RunError
from gpucnn.optimizers.base import Optimizer
from gpucnn.problems import path, short

FREE = (
    r"name|device|impl|numerics|plans|threads|graph|data\.workers|data\.on_device|data\.dataset\.\w+\.path|training\..*"
)
"""The settings that may differ when a run goes on: how it is called, where and by what it runs, where its data are,
how long it trains (the schedule stretches with `training.epochs`: then it is not the same run, but it is what was asked
for)."""


def require_same(run: Any, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise RunError, which lists what differs, unless two dumped experiments agree in all that is not `FREE`."""
    differing = differences(before, now, FREE, "in the run")
    if differing:
        raise RunError(
            f"{run} was begun with other settings:\n"
            + "\n".join(differing)
            + "\nUse the run's own config.yaml, or begin a new run with another --run-dir and without --resume; "
            "only name, device, impl, numerics, plans, threads, graph, data.workers, data.on_device, the data set's "
            "path and training.* may change"
        )


def differences(before: Mapping[str, Any], now: Mapping[str, Any], free: str, where: str) -> list[str]:
    """Return a line for each setting that two dumped experiments differ in.

    free: a pattern of those that may. where: where those are that were before, in words.
    """
    old, new = dict(_leaves(before)), dict(_leaves(now))
    return [
        f"  {key}: {short(old.get(key, 'not there'))} {where}, {short(new.get(key, 'not there'))} now"
        for key in {**old, **new}
        if (key in old, old.get(key)) != (key in new, new.get(key)) and not re.fullmatch(free, key)
    ]


def restore_state(optimizer: Optimizer, state: Mapping[str, Array], device: Device) -> None:
    """Load a checkpoint's optimizer state; raises CheckpointError where it is of other parameters."""
    expected = {key: array.shape for key, array in optimizer.state.items()}
    found = {key: array.shape for key, array in state.items()}
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            raise CheckpointError(
                f"the checkpoint is of another network or optimizer: expected for its state {key!r} "
                f"shape {expected.get(key)}, found {found.get(key)}"
            )
    for key, array in optimizer.state.items():
        array[...] = device.asarray(state[key])


def _leaves(value: Any, location: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of everything in plain data that holds nothing else; tuples are lists, as in JSON."""
    if isinstance(value, (dict, list, tuple)) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(inner, (*location, key))
    else:
        yield path(location), value
