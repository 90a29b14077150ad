"""gpucnn's own step."""

from __future__ import annotations

from benchmarks.peers.base import LEARNING_RATE, Batch
from gpucnn.backend import Array, Device
from gpucnn.config import Experiment
from gpucnn.config.implementations import computing
from gpucnn.random import Step
from gpucnn.training.parts import build_model


class Gpucnn:
    """The network of an experiment with its initial weights, on the CPU, computed as its settings say."""

    name = "gpucnn"

    def __init__(self, experiment: Experiment, batch: Batch) -> None:
        self.experiment, self.batch, self.count = experiment, batch, 0
        self.model = build_model(experiment, batch.x.shape[1:], Device("cpu"))
        self.loss, self.optimizer = experiment.loss.build(), experiment.optimizer.build()
        self.optimizer.build(self.model.params)

    def step(self) -> None:
        """Train on the batch."""
        with computing(self.experiment):
            scores, saved = self.model.forward(self.batch.x, train=Step(0, self.count))
            self.loss_value, saved_loss = self.loss.forward(scores, self.batch.labels)
            self.model.zero_grad()
            self.model.backward(self.loss.backward(saved_loss), saved)
            self.optimizer.update(self.model.params, lr=LEARNING_RATE, step=self.count)
        self.count += 1

    def evaluate(self) -> None:
        """Compute the scores of the batch."""
        self.scores()

    def scores(self) -> Array:
        """Return the scores of the batch."""
        return self.scores_of(self.batch.x)

    def scores_of(self, x: Array) -> Array:
        """Return the scores of images."""
        with computing(self.experiment):
            return self.model.forward(x)[0]
