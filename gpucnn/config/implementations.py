"""By what an experiment's operations are computed: chosen by its settings, and told without training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from gpucnn import numerics
from gpucnn.backend import Array, Device, Shape
from gpucnn.config.experiment import Experiment
from gpucnn.cpu import compiled, threads
from gpucnn.data.base import ArraySource
from gpucnn.data.resident import Resident, ResidentLoader, without_frames
from gpucnn.dispatch import Decision, recorded, using
from gpucnn.model import Model
from gpucnn.problems import plural
from gpucnn.random import Step

IMAGES = 2
"""How many images the step is run over from which the choices are seen: batch_norm needs two."""


@dataclass(frozen=True)
class Choice:
    """An operation, by what it is computed, why not by something faster, and how often in one step."""

    operation: str
    implementation: str
    reason: str
    times: int


@contextmanager
def computing(experiment: Experiment) -> Iterator[None]:
    """Choose implementations as the experiment says while entered."""
    with ExitStack() as stack:
        stack.enter_context(using(experiment.impl))
        stack.enter_context(numerics.using("tf32" if experiment.precision == "tf32" else experiment.numerics))
        if experiment.threads != "auto":
            stack.enter_context(threads.limited(experiment.threads))
        yield


def by_what(experiment: Experiment, device: Device) -> str:
    """Return in words what computes an experiment on the CPU, `2 threads, numba 0.68.0`; nothing for a GPU."""
    if device.kind != "cpu":
        return ""
    count = plural(threads.threads() if experiment.threads == "auto" else experiment.threads, "thread")
    if experiment.impl == "reference" or experiment.precision == "float64":
        return count
    version = None if compiled.problem() else compiled.version()
    return f"{count}, numba {version}" if version else f'{count}, NumPy only: pip install "gpucnn[cpu]" is faster'


def stored_as(experiment: Experiment, device: Device) -> str:
    """Return in words what a precision means that is not one type for all; nothing for float32 and float64."""
    match experiment.precision:
        case "tf32":
            return "tf32" if device.kind != "cpu" else "tf32, which is float32 on the CPU"
        case "bf16" | "fp16":
            return f"{experiment.precision}, weights in float32"
    return ""


def implementations(experiment: Experiment, device: Device) -> list[Choice]:
    """Return what computes each operation of a training step on `device`, in the order of the step.

    Seen, not derived: a step over two black images is run.
    """
    rehearsal = Rehearsal(experiment, device)
    with computing(experiment), recorded() as decisions:
        loading = rehearsal.step()
    return loading + _counted(decisions)


class Rehearsal:
    """An experiment's network, loss and optimizer, for a step over two black images: its data need not be there."""

    def __init__(self, experiment: Experiment, device: Device) -> None:
        self._experiment, self._device = experiment, device
        self._shape = experiment.data.dataset.build().info().shape
        layers = [spec.build() for spec in experiment.model]
        self.model = Model(layers, self._shape, seed=experiment.seed, dtype=experiment.dtype, device=device)
        self.loss, self.optimizer = experiment.loss.build(), experiment.optimizer.build()
        self.optimizer.build(self.model.params)

    def step(self) -> list[Choice]:
        """Train a step; return what is known of how its batch was loaded."""
        x, labels, loading = _batch(self._experiment, self._shape, self._device)
        scores, saved = self.model.forward(x, train=Step(self._experiment.seed, 0))
        _, saved_loss = self.loss.forward(scores, labels)
        self.model.backward(self.loss.backward(saved_loss), saved)
        self.optimizer.update(self.model.params, lr=0.0, step=0)
        return loading

    def evaluate(self) -> None:
        """Compute the scores of a batch as an evaluation does."""
        x, _, _ = _batch(self._experiment, self._shape, self._device)
        self.model.forward(x)


def _batch(experiment: Experiment, shape: Shape, device: Device) -> tuple[Array, Array, list[Choice]]:
    """Return a batch, gathered on the device where the experiment's are; and where not, why."""
    images, labels = np.zeros((IMAGES, *shape), np.uint8), np.zeros(IMAGES, np.int64)
    dtype, augment = experiment.dtype, [spec.build() for spec in experiment.data.augment]
    why = without_frames(augment, shape) if experiment.data.on_device else "data.on_device is false"
    if device.kind == "cpu" or why:
        choices = [] if device.kind == "cpu" else [Choice("gather", "the host", why, 1)]
        return device.asarray(images, dtype), device.asarray(labels), choices
    resident, seed = Resident.of(ArraySource(images, labels), device), experiment.seed
    loader = ResidentLoader(
        resident, np.arange(IMAGES), IMAGES, seed=seed, augment=augment, device=device, dtype=dtype, shuffle=False
    )
    return *next(loader.batches(epoch=0)), []


def _counted(decisions: list[Decision]) -> list[Choice]:
    return [
        Choice(decision.operation, decision.implementation, decision.reason, times)
        for decision, times in Counter(decisions).items()
    ]
