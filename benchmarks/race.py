"""How long a config trains until it is right about a given share of the test images."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from benchmarks.processes import Failed
from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.config.implementations import computing
from gpucnn.profiling.peaks import synchronize
from gpucnn.resources import find_config
from gpucnn.training.evaluate import evaluate
from gpucnn.training.trainer import Trainer

CPU = Device("cpu")


@dataclass(frozen=True)
class Race:
    """setup_seconds: reading the data and making the network. looks: (step, seconds of training, test accuracy).

    On a GPU the set-up includes copying the images there, and training includes compiling kernels where none are kept
    on disk and nothing was warmed up.
    """

    setup_seconds: float
    looks: list[tuple[int, float, float]]
    target: float

    @property
    def training_seconds(self) -> float | None:
        """Seconds of training steps until the target was reached; None where it was not."""
        return next((seconds for _, seconds, accuracy in self.looks if accuracy >= self.target), None)

    @property
    def seconds(self) -> float | None:
        """The same, set-up included."""
        return None if self.training_seconds is None else self.setup_seconds + self.training_seconds

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return self.looks[-1][0]

    @property
    def best(self) -> float:
        """The highest accuracy seen."""
        return max(accuracy for _, _, accuracy in self.looks)

    def dump(self) -> dict[str, Any]:
        """Return all numbers as plain data."""
        derived = {"seconds": self.seconds, "training_seconds": self.training_seconds, "best_accuracy": self.best}
        return {**asdict(self), **derived}


def race(
    name: str, overrides: Sequence[str], *, target: float, every: int | None, device: Device = CPU, warm_up: int = 0
) -> Race:
    """Train a config until it reaches the target or its last epoch, looking at the test images `every` so many steps.

    The clock stands still while it looks; it stops once the device has done what it was asked for. every: None for four
    times an epoch. warm_up: steps of another network of the same config, made and forgotten before the clock starts.
    """
    experiment = load(find_config(name), overrides)
    if warm_up:
        with computing(experiment), np.errstate(all="ignore"):
            for _ in islice(_steps(Trainer(experiment, device)), warm_up):
                pass
    synchronize(device)
    started = time.perf_counter()
    trainer = Trainer(experiment, device)
    synchronize(device)
    found = Race(time.perf_counter() - started, [], target)
    test = trainer.data.evaluation("test")
    if test is None:
        raise Failed(f"{name} has no test images")
    every, seconds, started = every or -(-len(trainer.batches) // 4), 0.0, time.perf_counter()
    with computing(experiment), np.errstate(all="ignore"):
        for last in _steps(trainer):
            if last or trainer.progress.step % every == 0:
                synchronize(device)
                seconds += time.perf_counter() - started
                accuracy = evaluate(trainer.model, trainer.loss, test).accuracy
                found.looks.append((trainer.progress.step, seconds, accuracy))
                if accuracy >= target:
                    break
                synchronize(device)
                started = time.perf_counter()
    return found


def _steps(trainer: Trainer) -> Iterator[bool]:
    """Train to the last epoch; yield after each step whether it was the last of all."""
    p, batches = trainer.progress, len(trainer.batches)
    while not trainer.finished:
        for x, labels in trainer.batches.batches(p.epoch):
            loss, correct = trainer.step(x, labels, trainer.learning_rate(p.step))
            p.count(len(labels), loss, correct, 0.0, 0.0)
            yield p.step == trainer.experiment.training.epochs * batches
        p.next_epoch()
