"""The same training on two sides, step by step: what `gpucnn parity` does.

First every layer, the loss and the optimizer, each fed the same on both sides (see `gpucnn.training.tracing`); then
some steps of training, each side with its own weights and both with the same batches, whose losses are compared.
How large a difference may be is derived in `gpucnn.training.rounding`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import numpy as np

from gpucnn.backend import Array, Device, to_numpy
from gpucnn.config.experiment import Experiment
from gpucnn.dispatch import Impl, recorded, using
from gpucnn.errors import ArgumentError
from gpucnn.random import Step
from gpucnn.training.comparison import Compared, Losses, Parity, Row
from gpucnn.training.observer import Observer
from gpucnn.training.parts import build_model
from gpucnn.training.rounding import limit, relative_error, terms
from gpucnn.training.tracing import DATA, FORWARD, Computed, compute, feed, is_parameter, leaves, stir
from gpucnn.training.trainer import Trainer

_UPDATES = 2  # so that the second meets what the optimizer remembers


class Side:
    """One of the two: an experiment's training on a device, by the implementations that `impl` allows."""

    def __init__(self, experiment: Experiment, device: Device, impl: Impl) -> None:
        self.experiment, self.device, self.impl = experiment, device, impl
        self.trainer = Trainer(experiment, device)
        self.trainer.observer = Observer()  # nobody is told that memory did not suffice for a whole batch

    def __str__(self) -> str:
        return f"{self.device} ({self.impl})"

    def step(self, x: Array, labels: Array) -> float:
        """Train on a batch that is on the host, and return its loss."""
        trainer = self.trainer
        lr = trainer.learning_rate(trainer.progress.step)
        with using(self.impl), np.errstate(all="ignore"):
            loss, _ = trainer.step(self.device.asarray(x), self.device.asarray(labels), lr)
        trainer.progress.step += 1
        return loss

    def layers(self, fed: Any, scores: Array, labels: Array) -> dict[str, Computed]:
        """Return what each layer, the loss and the optimizer make of what `feed` recorded, by path."""
        experiment, step = self.experiment, Step(self.experiment.seed, 0)
        with using(self.impl), np.errstate(all="ignore"):
            model = build_model(experiment, self.trainer.data.info.shape, self.device)
            stir(model, experiment.seed)
            found = {path: compute(layer, fed[path], step, model) for path, layer in leaves(model).items()}
            found["loss"] = self._loss(scores, labels)
            found["optimizer"] = self._optimizer(model)
        return found

    def _loss(self, scores: Array, labels: Array) -> Computed:
        loss = self.experiment.loss.build()
        with recorded() as forward:
            value, saved = loss.forward(self.device.asarray(scores), self.device.asarray(labels))
        with recorded() as backward:
            dx = loss.backward(saved)
        return Computed({FORWARD: to_numpy(value).copy(), DATA: to_numpy(dx).copy()}, tuple(forward), tuple(backward))

    def _optimizer(self, model: Any) -> Computed:
        """Two updates with gradients of the weights' own size, the same on both sides: here, a half of the weights."""
        optimizer = self.experiment.optimizer.build()
        optimizer.build(model.params)
        for parameter in model.params.values():
            parameter.grad = 0.5 * parameter.value
        with recorded() as decisions:
            for step in range(_UPDATES):
                optimizer.update(model.params, lr=optimizer.lr, step=step)
        return Computed({name: to_numpy(p.value).copy() for name, p in model.params.items()}, tuple(decisions))


def parity(ours: Side, theirs: Side, steps: int) -> Parity:
    """Compare two sides of one experiment over so many steps; their side feeds both."""
    if steps < 1:
        raise ArgumentError(f"steps (={steps}) must be at least 1")
    experiment, trainer = theirs.experiment, theirs.trainer
    dtype, layers = experiment.dtype, leaves(trainer.model).values()
    losses: list[Losses] = []
    rows: list[Row] = []
    computed: dict[str, Computed] = {}
    for x, labels in _batches(trainer, steps):
        if not rows:
            computed, expected = _layers(ours, theirs, x, labels)
            rows = [_row(path, computed[path], expected[path], trainer, len(labels)) for path in expected]
            longest = max(max(terms(layer, len(labels))) for layer in layers)
        step, mine, other = len(losses) + 1, ours.step(x, labels), theirs.step(x, labels)
        # Each layer adds its rounding to the scores once, and each step adds as much to the weights.
        allowed = limit(dtype, longest, times=step * len(layers))
        losses.append(Losses(step, mine, other, allowed, losses[0].theirs if losses else other))
    return Parity(str(ours), str(theirs), dtype.name, rows, losses, computed)


def _layers(ours: Side, theirs: Side, x: Array, labels: Array) -> tuple[dict[str, Computed], dict[str, Computed]]:
    """Return what both sides compute in the first step, layer by layer."""
    experiment = theirs.experiment
    model = build_model(experiment, theirs.trainer.data.info.shape, theirs.device)
    stir(model, experiment.seed)
    batch = theirs.device.asarray(x), theirs.device.asarray(labels)
    with using(theirs.impl), np.errstate(all="ignore"):
        fed, scores = feed(model, experiment.loss.build(), *batch, Step(experiment.seed, 0))
    return ours.layers(fed, scores, labels), theirs.layers(fed, scores, labels)


def _row(path: str, actual: Computed, expected: Computed, trainer: Trainer, images: int) -> Row:
    layers = leaves(trainer.model)
    counts = terms(layers[path], images) if path in layers else (images, 1.0, 1.0)
    passes = dict(zip((FORWARD, DATA), counts, strict=False))
    values = expected.values
    largest = max((float(np.abs(a).max(initial=0)) for key, a in values.items() if is_parameter(key)), default=0.0)
    compared = []
    for key, wanted in values.items():
        error = relative_error(actual.values.get(key, np.zeros(0)), wanted, largest if is_parameter(key) else 0.0)
        compared.append(Compared(key, error, limit(wanted.dtype, passes.get(key, counts[2]))))
    return Row(path, tuple(compared), actual.forward, actual.backward)


def _batches(trainer: Trainer, steps: int) -> Iterator[tuple[Array, Array]]:
    """Yield the first batches of the training, on the host."""
    for step in range(0, steps, len(trainer.batches)):
        with closing(trainer.batches.batches(step // len(trainer.batches))) as epoch:
            for x, labels in islice(epoch, steps - step):
                yield to_numpy(x), to_numpy(labels)
