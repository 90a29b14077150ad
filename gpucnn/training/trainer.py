"""The training loop: batch, forward, loss, backward, update; validation after every epoch; checkpoints on the way.

All randomness is a function of (seed, step or epoch, place), so a `Trainer` is its counters (`Progress`) and its
arrays; one that is restored from a checkpoint goes on as if it had never stopped, to the last bit.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from gpucnn.backend import Array, Device, to_numpy
from gpucnn.config.experiment import Experiment, Views
from gpucnn.cuda import plans
from gpucnn.data.loader import Loader
from gpucnn.errors import NonFiniteError
from gpucnn.random import Step
from gpucnn.training.checkpoint import Checkpoint, Progress
from gpucnn.training.environment import versions
from gpucnn.training.evaluate import Evaluation, evaluate
from gpucnn.training.finite import all_finite, first_gradient, first_in_forward, gradients
from gpucnn.training.gradients import Gradients
from gpucnn.training.graph import why_eager
from gpucnn.training.metrics import STEPS_A_LINE, Metrics, epoch_row, step_metrics
from gpucnn.training.observer import Observer
from gpucnn.training.parts import ExperimentData, build_model
from gpucnn.training.queued import Done, Queue
from gpucnn.training.resume import restore_state
from gpucnn.training.run_folder import RunFolder
from gpucnn.training.scaling import loss_scale
from gpucnn.training.signals import Interrupted, Interrupts
from gpucnn.training.stopping import improves, stops
from gpucnn.tuning.choices import choices

P = ParamSpec("P")
R = TypeVar("R")


def _by_its_plans(method: Callable[Concatenate[Trainer, P], R]) -> Callable[Concatenate[Trainer, P], R]:
    """Make a trainer's method compute by the plans that the run keeps to."""

    @functools.wraps(method)
    def computing(trainer: Trainer, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with plans.using(trainer.choices):
            return method(trainer, *args, **kwargs)

    return computing


class Trainer:
    """A network, what trains it, and how far it is. `restored`: the checkpoint to go on from."""

    def __init__(self, experiment: Experiment, device: Device, restored: Checkpoint | None = None) -> None:
        self.experiment, self.device = experiment, device
        self.data = ExperimentData(experiment, device, restored)
        self.batches = self.data.training()
        self.validation = self.data.evaluation("validation")
        self.model = build_model(experiment, self.data.info.shape, device)
        self.loss, self.schedule = experiment.loss.build(), experiment.schedule.build()
        self.loss.check(self.model.output_shape, len(self.data.info.classes))
        micro_batch = experiment.training.micro_batch
        self.gradients = Gradients(self.model, self.loss, micro_batch, self._tell)
        self.optimizer = experiment.optimizer.build()
        self.optimizer.build(self.model.params)
        self.scaling = loss_scale(experiment, device)
        self.progress = Progress()
        self.observer = Observer()
        self.choices = choices(experiment.plans, device, restored.plans if restored else {}, self._tell)
        self._saved: tuple[int, int] | None = None  # the moment (step, epoch) of the last checkpoint written
        self._path = Path()
        self.eager = why_eager(experiment, device)  # what keeps steps from being CUDA graphs, in words
        self._queue: Queue | None = None
        if restored:
            self.model.load(restored.weights)
            restore_state(self.optimizer, restored.optimizer, device)
            if self.scaling:
                self.scaling.load(restored.scaling)
            self.progress = replace(restored.progress)

    @_by_its_plans
    def fit(self, folder: RunFolder, metrics: Metrics, observer: Observer, interrupts: Interrupts) -> None:
        """Train to the last epoch, or until early stopping.

        Raises Interrupted after a signal and NonFiniteError where training diverges, both with a checkpoint written.
        """
        self.folder, self.metrics, self.observer, self.interrupts = folder, metrics, observer, interrupts
        self._queue = Queue(self) if self.by_graphs and not self.eager else None
        try:
            with np.errstate(all="ignore"):  # what overflows shows in the loss or in the gradients, and is looked for
                while not self.finished:
                    self.train_epoch()
                    self.finish_epoch()
            self.save()
        except Interrupted as stop:
            done = f"{stop} after step {self.progress.step}; checkpoint: {self.save()}"
            raise Interrupted(stop.signal, f"{done}; to go on: {folder.resume_command}") from None
        except NonFiniteError as error:
            raise NonFiniteError(f"{error}\n{self._save_last_good()}") from None
        finally:
            if self._queue:
                self._queue.close()

    def train_epoch(self) -> None:
        """Train on the rest of the epoch's batches."""
        p, every = self.progress, self.experiment.training.checkpoint_every
        self.observer.epoch_started(p.epoch + 1, len(self.batches))
        with closing(self._queue.steps() if self._queue else self.eager_steps()) as steps:
            for done in steps:
                p.count(done.images, done.loss, done.correct, done.seconds, done.data_seconds)
                if p.step % STEPS_A_LINE == 0:
                    self.metrics.add("step", {"epoch": p.epoch + 1, "step": p.step, "loss": done.loss, "lr": done.lr})
                self.observer.step(step_metrics(p, len(self.batches), done.lr))
                if done.settled and not isinstance(every, int) and p.step % every.steps == 0:
                    self.save()
                if done.settled:
                    self.interrupts.check()
                if done.settled and self.scaling and self.scaling.lost:
                    raise NonFiniteError(self._lost())

    def eager_steps(self) -> Generator[Done, None, None]:
        """Train on the rest of the epoch's batches, one by one as they are asked for."""
        p, started = self.progress, time.perf_counter()
        with closing(self.batches.batches(p.epoch, start=p.batch)) as batches:
            for x, labels in batches:
                ready, lr = time.perf_counter(), self.learning_rate(p.step)
                loss, correct = self.step(x, labels, lr)
                yield Done(len(labels), loss, correct, lr, time.perf_counter() - started, ready - started)
                started = time.perf_counter()

    @_by_its_plans
    def step(self, x: Array, labels: Array, lr: float) -> tuple[float, int]:
        """Update the weights by one batch; return its loss and how many of its images were classified right."""
        step = Step(self.experiment.seed, self.progress.step)
        statistics = {path: array.copy() for path, array in self.model.state.items()}
        value, correct = self.gradients.compute(x, labels, step, self.scaling.scale if self.scaling else None)
        if not math.isfinite(value):
            raise self._diverged(f"the loss is {value}", x, step, statistics)
        if not self.scaling and not all_finite(gradients(self.model.params).values()):
            raise self._diverged("a gradient is not finite", x, step, statistics)
        if self.scaling:
            self.scaling.update(self.optimizer, self.model.params, lr=lr, step=step.index)
        else:
            self.optimizer.update(self.model.params, lr=lr, step=step.index)
        return value, correct

    def finish_epoch(self) -> None:
        """Validate, record the epoch, and write the checkpoints that are due."""
        p, training = self.progress, self.experiment.training
        found = None
        if self.validation:
            found = self.evaluate(self.validation)
        row = epoch_row(p, self.learning_rate(p.step - 1), found, self.scaling)
        improved = found is not None and improves(found, p, training.early_stopping)
        p.next_epoch()
        self.metrics.add("epoch", row)
        if improved:
            self.folder.save(self.checkpoint(), "best")
        if training.keep_every and p.epoch % training.keep_every == 0:
            self.folder.save(self.checkpoint(), f"epoch-{p.epoch:04d}")
        if isinstance(training.checkpoint_every, int) and p.epoch % training.checkpoint_every == 0:
            self.save()
        self.observer.epoch_finished(row)
        if self.scaling and (news := self.scaling.news()):
            self.observer.message(news)

    @_by_its_plans
    def evaluate(self, loader: Loader, views: Views = Views()) -> Evaluation:  # noqa: B008 - frozen
        """Return how well the network does now on the images of a loader."""
        part, between = self.gradients.part, self.interrupts.check
        return evaluate(self.model, self.loss, loader, part=part, views=views, between=between)

    @property
    def by_graphs(self) -> bool:
        """Whether the experiment wants steps to be CUDA graphs, and has whole batches on a GPU for them."""
        wanted = self.device.kind == "cuda" and self.experiment.graph == "auto"
        return wanted and self.batches.images >= self.batches.batch_size

    @property
    def finished(self) -> bool:
        """Whether all epochs are trained, or early stopping has ended training."""
        training = self.experiment.training
        return self.progress.epoch >= training.epochs or stops(self.progress, training.early_stopping)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: the optimizer's, times the schedule's factor."""
        total = self.experiment.training.epochs * len(self.batches)
        return float(self.optimizer.lr * self.schedule.factor(step, total))

    def checkpoint(self) -> Checkpoint:
        """Return all that this trainer is."""
        return Checkpoint(
            weights=self.model.arrays(),
            optimizer={key: to_numpy(array) for key, array in self.optimizer.state.items()},
            scaling=self.scaling.arrays() if self.scaling else {},
            progress=replace(self.progress),
            config=self.experiment.dump(),
            classes=self.data.info.classes,
            input_shape=self.data.info.shape,
            image_dtype=self.data.image_dtype,
            normalize=self.data.normalize.dump() if self.data.normalize else None,
            versions=versions(),
            plans=dict(self.choices.used),
        )

    def save(self) -> Path:
        """Write a checkpoint of this moment, where there is none yet; return where it is."""
        moment = (self.progress.step, self.progress.epoch)
        if self._saved != moment:
            self.metrics.sync()
            self._path, self._saved = self.folder.save(self.checkpoint()), moment
        return self._path

    def _tell(self, text: str) -> None:
        self.observer.message(text)

    def _diverged(self, what: str, x: Array, step: Step, statistics: dict[str, Array]) -> NonFiniteError:
        """Return the error that says where it began, with the model as it was before this step's forward pass."""
        where = first_in_forward(self.model, x, step) or first_gradient(self.model.params) or "the loss itself"
        self.model.load(self.model.arrays() | {path: to_numpy(array) for path, array in statistics.items()})
        p = self.progress
        return NonFiniteError(
            f"{what} in step {p.step + 1} (epoch {p.epoch + 1}, batch {p.batch + 1}): the first value that is infinite "
            f"or not a number is in {where}. Training stopped before the update. Lower the learning rate (it was "
            f"{self.learning_rate(p.step):.3g}), add warm-up to the schedule, or look at the data"
        )

    def _lost(self) -> str:
        p, where = self.progress, first_gradient(self.model.params) or "the gradients"
        return (
            f"gradients are not finite in step {p.step} (epoch {p.epoch + 1}, batch {p.batch}) even with a "
            f"{self.scaling}: {where}. Nothing was updated by such steps. Lower the learning rate, add warm-up to the "
            "schedule, or set precision to bf16"
        )

    def _save_last_good(self) -> str:
        if all_finite(self.model.arrays().values()):
            return f"the state after step {self.progress.step} is in {self.save()}"
        return f"the last update had already spoilt the weights; earlier checkpoints are in {self.folder.path}"
