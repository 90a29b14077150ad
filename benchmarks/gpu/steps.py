"""Whole training steps: ours and those of peers at their best, with the same weights, batch and optimizer."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np

from benchmarks.gpu import contenders
from benchmarks.gpu.clock import WALL, Clock, Way
from benchmarks.gpu.contenders import Contender
from benchmarks.gpu.floors import Work, work
from benchmarks.gpu.networks import HALVES, LARGE, UNROLLED, Case, case
from benchmarks.gpu.tuning import as_runs_do
from benchmarks.peers.base import Batch
from benchmarks.processes import Failed
from gpucnn.backend import Array, Device
from gpucnn.training.parts import build_model

TOLERANCES = {"float32": 1e-4, "float64": 1e-4, "tf32": 1e-2, "fp16": 1e-2, "bf16": 1e-1}
"""Largest difference of scores from float32's, relative to the largest: by a rounding of 2^-11 (tf32, fp16) or 2^-8 at
each of some dozens of layers one after the other. Another network, or other weights, differ by 1."""


def measure(
    device: Device, *, part: str, name: str, rounds: int, seconds: float, until: float = float("inf")
) -> Iterator[dict[str, Any]]:
    """Yield what is known of the case `name`, more of it each time: {"networks": [row]}.

    part: one of `contenders.PARTS`. until: when to stop, by `time.monotonic`; contenders that were not timed then are
    named in the row.
    """
    which = case(name)
    row: dict[str, Any] = {**asdict(which), "part": part, "seconds": {}, "failed": {}, "errors": {}}
    yield {"networks": [row]}
    timing = _Timing(which, device, rounds, seconds)
    row |= {"batch_size": len(timing.batch.x), **({} if part == "jax" else timing.ceiling())}
    yield {"networks": [row]}
    names = contenders.PARTS[part]
    groups = [[each] for each in names] if which.network in LARGE or part == "compiled" else [names]
    for group in groups:
        if time.monotonic() > until:
            row["left_out"] = [each for each in names if each not in row["seconds"] and each not in row["failed"]]
        else:
            timing.time(group, row)
        yield {"networks": [row]}


class _Timing:
    """One network: what all its contenders are made of, and how they are timed."""

    def __init__(self, which: Case, device: Device, rounds: int, seconds: float) -> None:
        self.which, self.device, self.rounds, self.turn = which, device, rounds, seconds
        self.experiment, plain = which.experiment(), which.experiment("float32")
        self.batch = Batch.random(plain)
        self.host = build_model(plain, self.batch.x.shape[1:], Device("cpu"))
        self.work = work(self.host, len(self.batch.x))
        self.clock = Clock(device)
        self.expected: Array | None = None

    def ceiling(self) -> dict[str, Any]:
        """Return the device's measured best, and the least time that the step takes at that."""
        import torch

        from benchmarks.gpu.ceilings import ceilings

        torch.backends.cudnn.benchmark = True
        best = ceilings(torch, self.clock)
        kind, size = HALVES.get(self.which.precision, self.which.precision), Work.itemsize(self.which.precision)
        return {"ceilings": best, "floor": self.work.seconds(best[kind], best["bytes"], size)}

    def time(self, names: Sequence[str], row: dict[str, Any]) -> None:
        """Make contenders, compare their scores, time them by turns, and let them go."""
        made: dict[str, Contender] = {}
        for each in names:
            try:
                made[each] = self.contender(each)
                with as_runs_do(self.device):
                    row["errors"][each] = self.error(made[each])
                    made[each].prepare()
                    made[each].step()
            except Exception as error:
                made.pop(each, None)
                row["failed"][each] = f"{type(error).__name__}: {error}"[:500]
        ways = {each: _way(it) for each, it in made.items()}
        with as_runs_do(self.device):
            times = self.clock.interleaved(ways, rounds=self.rounds, seconds=self.turn, kinds=(WALL,)) if ways else {}
        row["seconds"] |= {who: [time / made[who].steps for time in found[WALL]] for who, found in times.items()}
        row["images_per_second"] = {who: len(self.batch.x) / median(found) for who, found in row["seconds"].items()}
        del made, ways
        gc.collect()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()
        self.device.release()

    def contender(self, name: str) -> Contender:
        """Return a contender by its name."""
        steps = UNROLLED.get(self.which.network, 1)
        return contenders.make(name, self.experiment, self.batch, self.host, self.device, steps)

    def error(self, contender: Contender) -> float:
        """Return how far a contender's scores are from those of the same network on the CPU; raises Failed if too far.

        It would not be the same network.
        """
        if self.expected is None:
            self.expected = self.host.forward(self.batch.x[: contenders.SCORED])[0]
        found = np.asarray(contender.scores(), np.float32)
        error = float(np.abs(found - self.expected).max() / np.abs(self.expected).max())
        if not error <= TOLERANCES[self.which.precision]:
            raise Failed(f"other scores than this network's: relative difference {error:.2g}")
        return error


def _way(contender: Contender) -> Way:
    """Return how a contender takes its turns: on one batch, every time."""
    return Way(lambda _: contender.step(), contender.prepare)
