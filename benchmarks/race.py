"""How long a config trains until it is right about a given share of the test images."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import Failed
from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.config.implementations import computing
from gpucnn.profiling.peaks import synchronize
from gpucnn.resources import find_config
from gpucnn.training.evaluate import evaluate
from gpucnn.training.metrics import Metrics
from gpucnn.training.observer import EpochRow, Observer
from gpucnn.training.run_folder import RunFolder
from gpucnn.training.signals import Interrupts
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
    """Train a config until it reaches the target or its last epoch, looking at the test images on the way.

    The clock stands still while it looks; it stops once the device has done what it was asked for. every: after so many
    steps; None for four times an epoch on the CPU, and on a GPU after each epoch, whose steps are queued ahead as
    `gpucnn train` does. warm_up: steps of another network of the same config, made and forgotten before the clock
    starts.
    """
    experiment = load(find_config(name), overrides)
    with computing(experiment), np.errstate(all="ignore"):
        if warm_up:
            deque(islice(_steps(Trainer(experiment, device)), warm_up))
        synchronize(device)
        clock = _Clock(device)
        trainer = Trainer(experiment, device)
        clock.stop()
        if trainer.data.evaluation("test") is None:
            raise Failed(f"{name} has no test images")
        look = _Look(Race(clock.seconds, [], target), trainer, _Clock(device))
        if device.kind == "cpu" or every:
            _by_steps(trainer, look, every or -(-len(trainer.batches) // 4))
        else:
            as_trained(trainer, look)
    return look.found


class _Clock:
    """Seconds that have passed, but for those between `stop` and `go`; it starts when it is made."""

    def __init__(self, device: Device) -> None:
        self._device, self.seconds = device, 0.0
        self.go()

    def go(self) -> None:
        self._started = time.perf_counter()

    def stop(self) -> None:
        synchronize(self._device)
        self.seconds += time.perf_counter() - self._started


class _Look(Observer):
    """Looks at the test images, after each epoch where it is a trainer's observer, while the clock stands still."""

    def __init__(self, found: Race, trainer: Trainer, clock: _Clock) -> None:
        self.found, self._trainer, self._clock = found, trainer, clock
        self._test = trainer.data.evaluation("test")

    def __call__(self) -> bool:
        """Return whether the target is reached."""
        self._clock.stop()
        assert self._test is not None
        trainer, views = self._trainer, self._trainer.experiment.training.evaluate
        accuracy = evaluate(trainer.model, trainer.loss, self._test, views=views).accuracy
        self.found.looks.append((self._trainer.progress.step, self._clock.seconds, accuracy))
        synchronize(self._trainer.device)
        self._clock.go()
        return accuracy >= self.found.target

    def epoch_finished(self, row: EpochRow) -> None:
        """Look; raise _Reached where that was enough."""
        if self():
            raise _Reached


class _Reached(Exception):  # noqa: N818 - what has happened
    """The target is reached: training ends."""


def as_trained(trainer: Trainer, look: _Look) -> None:
    """Train as `gpucnn train` does, into a folder that goes away, and look after each epoch."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
        folder = stack.enter_context(closing(RunFolder.create(trainer.experiment.name, place)))
        metrics = stack.enter_context(closing(Metrics(folder.path, epoch=0, step=0)))
        stack.enter_context(suppress(_Reached))
        trainer.fit(folder, metrics, look, stack.enter_context(Interrupts()))


def _by_steps(trainer: Trainer, look: _Look, every: int) -> None:
    """Train step by step, and look after so many of them and after the last."""
    for last in _steps(trainer):
        if (last or trainer.progress.step % every == 0) and look():
            break


def _steps(trainer: Trainer) -> Iterator[bool]:
    """Train to the last epoch; yield after each step whether it was the last of all."""
    p, batches = trainer.progress, len(trainer.batches)
    while not trainer.finished:
        for x, labels in trainer.batches.batches(p.epoch):
            loss, correct = trainer.step(x, labels, trainer.learning_rate(p.step))
            p.count(len(labels), loss, correct, 0.0, 0.0)
            yield p.step == trainer.experiment.training.epochs * batches
        p.next_epoch()
