"""The steps of a training, timed: some whole, and as many cut into their parts, taking turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from statistics import median
from typing import Any, TypeAlias

import numpy as np

from gpucnn.backend import Device
from gpucnn.config.experiment import Experiment
from gpucnn.config.implementations import computing
from gpucnn.cpu.threads import threads
from gpucnn.data.loader import Batches
from gpucnn.errors import ArgumentError
from gpucnn.profiling.meters import DeviceClock, HostClock, Seconds
from gpucnn.profiling.peaks import measured, synchronize
from gpucnn.profiling.profile import Profile, Row
from gpucnn.profiling.seams import BATCH, ELSEWHERE, WAIT, Part, metered, parts
from gpucnn.profiling.work import Work, observed
from gpucnn.training.observer import Observer
from gpucnn.training.tracing import FORWARD
from gpucnn.training.trainer import Trainer

WARM_UP = 2
"""Steps after which compilers are done and memory is there; one more follows, whose work is noted."""

MEASURING = "measuring what the device can do"

_WAIT = Part(BATCH, WAIT)

Times: TypeAlias = tuple[float, ...]


def profile(
    experiment: Experiment, device: Device, steps: int, tell: Callable[[str], object] = lambda _: None
) -> Profile:
    """Train so many steps of an experiment cut into parts, and as many whole; return what they took.

    The trainer computes as it always does, and its losses are those of a training that nobody looks at. tell: hears
    what is being measured.
    """
    if steps < 1:
        raise ArgumentError(f"steps (={steps}) must be at least 1")
    with computing(experiment), np.errstate(all="ignore"):
        run = _Steps(experiment, device)
        with closing(run.batches):
            tell(MEASURING)
            before = measured(device, run.trainer.model.dtype)
            rows, whole, plain = run.timed(steps, tell)
            tell(MEASURING)
            peaks = before.best(measured(device, run.trainer.model.dtype))
        return Profile(
            experiment.name,
            str(device),
            threads() if device.kind == "cpu" else None,
            run.trainer.model.dtype.name,
            run.images,
            peaks,
            rows,
            step=whole,
            plain=plain,
            losses=tuple(run.losses),
        )


class _Steps:
    """A training, step by step."""

    def __init__(self, experiment: Experiment, device: Device) -> None:
        self.device, self.trainer = device, Trainer(experiment, device)
        self.trainer.observer = Observer()  # nobody is told that memory did not suffice for a whole batch
        self.batches, self.losses = self._batches(), []  # type: Batches, list[float]
        loader = self.trainer.batches
        self.images = min(loader.images, loader.batch_size)
        self._total = experiment.training.epochs * len(loader)

    def timed(self, steps: int, tell: Callable[[str], object]) -> tuple[list[Row], Times, Times]:
        """Return the parts of so many steps, the seconds of the steps that they are parts of, and of whole ones."""
        tell("warming up")
        for _ in range(WARM_UP):
            self.step(HostClock())
        with observed(self.trainer) as work:
            self.step()
        whole, cut, host, own = [], [], [], []  # type: list[float], list[float], list[Seconds], list[Seconds]
        for i in range(steps):
            tell(f"timing step {i + 1} of {steps}")
            whole.append(self.step())
            clock = HostClock()
            cut.append(self.step(clock))
            host.append(clock.seconds)
            if self.device.kind == "cuda":
                events = DeviceClock(self.device, clock.seconds)
                self.step(events)
                own.append(events.seconds)
        rows = [self._row(part, host, own, work.get(part, Work())) for part in self._present(set(host[0]))]
        return rows, tuple(whole if own else cut), tuple(whole)

    def _present(self, heard: set[Part]) -> Iterator[Part]:
        """Yield the parts that were heard, and one in its place for each layer whose forward pass was not."""
        for part in (_WAIT, *parts(self.trainer)):
            if part in heard:
                yield part
            elif part.what == FORWARD:
                yield Part(part.path, ELSEWHERE)

    def step(self, meter: Any = None) -> float:
        """Train on the next batch, cut by the meter if there is one; return the seconds of the whole step."""
        trainer, p = self.trainer, self.trainer.progress
        with metered(trainer, meter) if meter else nullcontext():
            synchronize(self.device)
            began = time.perf_counter()
            if meter:
                meter.begin(_WAIT)
            x, labels = next(self.batches)
            if meter:
                meter.end(_WAIT, None, (), None)
            loss, _ = trainer.step(x, labels, trainer.learning_rate(min(p.step, self._total - 1)))
            synchronize(self.device)
            seconds = time.perf_counter() - began
        p.step += 1
        self.losses.append(loss)
        return seconds

    def _batches(self) -> Batches:
        """Yield the batches of one epoch after the other, but the last ones that are smaller."""
        epoch = 0
        while True:
            with closing(self.trainer.batches.batches(epoch)) as batches:
                for x, labels in batches:
                    if len(x) == self.images:
                        yield x, labels
            epoch += 1

    def _row(self, part: Part, host: list[Seconds], own: list[Seconds], work: Work) -> Row:
        times = tuple(seconds[part] for seconds in own or host)
        launching = median(seconds[part] for seconds in host) if own else None
        return Row(part, times, work, launching, tuple(self.trainer.choices.runner_up(task) for task, _ in work.plans))
