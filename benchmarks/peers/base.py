"""What a benchmark of steps asks of each contender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gpucnn.backend import Array
from gpucnn.config import Experiment
from gpucnn.halves import accumulator

LEARNING_RATE = 1e-6
"""Steps cost the same at any rate; at this one the network stays what it was, however often it is timed."""


class Contender(Protocol):
    """A network with a batch in memory."""

    name: str

    def step(self) -> None:
        """Train on the batch: forward, loss, backward, update."""

    def evaluate(self) -> None:
        """Compute the scores of the batch, as when evaluating."""

    def scores(self) -> Array:
        """Return the scores of `evaluate`."""


@dataclass(frozen=True)
class Batch:
    """x: images (N, H, W, C). labels: (N,), int64."""

    x: Array
    labels: Array

    @staticmethod
    def random(experiment: Experiment) -> Batch:
        """Return normal noise of the shape and dtype of the experiment's batches: no data set is needed."""
        info, size = experiment.data.dataset.build().info(), experiment.data.batch_size
        rng = np.random.default_rng(experiment.seed)
        x = rng.standard_normal((size, *info.shape), dtype=accumulator(experiment.dtype))
        return Batch(x, rng.integers(len(info.classes), size=size))
