"""Who is faster: gpucnn or its peers, with the same weights and the same batch, taking turns in one process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.peers.base import Batch, Contender
from benchmarks.peers.gpucnn import Gpucnn
from benchmarks.peers.torch_step import Torch
from benchmarks.processes import Failed
from benchmarks.rounds import interleaved
from gpucnn.config import Experiment

TOLERANCE = 1e-4
"""Largest difference of scores, relative to the largest score: float32 sums of some thousands of products, in layers
one after the other, each side in its own order."""


@dataclass(frozen=True)
class Outcome:
    """Seconds a call, one figure a round, of each contender, ours first; a call handles `images` images."""

    images: int
    times: dict[str, list[float]]

    @property
    def ours(self) -> str:
        """The name of the first contender."""
        return next(iter(self.times))

    @property
    def best_peer(self) -> str:
        """The name of the fastest of the others."""
        return min((name for name in self.times if name != self.ours), key=lambda name: median(self.times[name]))

    @property
    def ratios(self) -> list[float]:
        """Our images/s, divided by the best peer's, in each round: above 1 where we are faster."""
        return [peer / own for own, peer in zip(self.times[self.ours], self.times[self.best_peer], strict=True)]

    def images_per_second(self, name: str) -> float:
        """Return a contender's median."""
        return self.images / median(self.times[name])

    def dump(self) -> dict[str, Any]:
        """Return all numbers as plain data."""
        return {
            "batch_size": self.images,
            "images_per_second": {name: self.images_per_second(name) for name in self.times},
            "best_peer": self.best_peer,
            "ratio": median(self.ratios),
            "ratios": self.ratios,
            "seconds": self.times,
        }


def contenders(experiment: Experiment, *, compiled: bool = False) -> list[Contender]:
    """Return gpucnn and PyTorch in its forms, with equal weights; raises Failed where their scores differ."""
    batch = Batch.random(experiment)
    ours = Gpucnn(experiment, batch)
    forms = [(last, kind) for kind in ([False, True] if compiled else [False]) for last in (False, True)]
    found: list[Contender] = [
        ours,
        *(Torch(experiment, batch, ours.model, channels_last=last, compiled=kind) for last, kind in forms),
    ]
    check_scores(found)
    return found


def check_scores(found: Sequence[Contender]) -> None:
    """Raise Failed where a contender computes other scores than the first: it would not be the same network."""
    expected = found[0].scores()
    for contender in found[1:]:
        error = float(np.abs(contender.scores() - expected).max() / np.abs(expected).max())
        if not error <= TOLERANCE:
            raise Failed(f"{contender.name} gives other scores than {found[0].name}: relative difference {error:.2g}")


def compete(found: Sequence[Contender], method: str, images: int, *, rounds: int, seconds: float) -> Outcome:
    """Time `method`, step or evaluate, of all contenders."""
    ways = {contender.name: getattr(contender, method) for contender in found}
    return Outcome(images, interleaved(ways, rounds=rounds, seconds=seconds))
