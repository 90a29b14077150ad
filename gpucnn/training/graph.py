"""A training step as one CUDA graph: recorded once, and replayed as often as there are batches.

Nothing in it waits for the host, and nothing changes but what stands in device memory: the step's number (dropout draws
by it), what the optimizer takes from learning rate and step, and the batch. A step whose loss or gradients are not
finite changes nothing, and neither do those queued behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gpucnn.backend import Array, Device
from gpucnn.config.implementations import computing
from gpucnn.cuda.graph import Recorder, Work
from gpucnn.cuda.step import ROWS, Backup, Ledger
from gpucnn.halves import accumulator
from gpucnn.random import Step
from gpucnn.training.finite import gradients
from gpucnn.training.gradients import Gradients
from gpucnn.training.parts import build_model
from gpucnn.training.scaling import LossScale, loss_scale

if TYPE_CHECKING:
    from gpucnn.config.experiment import Experiment
    from gpucnn.model import Model
    from gpucnn.optimizers.base import Optimizer

WARM_UP = 2
"""Steps that are run before one is recorded: by then kernels are compiled and loaded."""

Batch = Callable[[], tuple[Array, Array]]


def why_eager(experiment: Experiment, device: Device) -> str:
    """Return which setting keeps steps on `device` from being graphs, and why; nothing where none does."""
    if device.kind == "cpu" or experiment.graph == "off":
        return ""
    if experiment.impl == "reference":
        return "impl is reference: what it calls cannot be recorded"
    optimizer = experiment.optimizer.build()
    if not optimizer.row(optimizer.lr, 0):
        return f"{optimizer.name} does not say what it takes from the learning rate (Optimizer.numbers)"
    return ""


class GraphStep:
    """A training step that waits for nobody. seed: of dropout. scaling: of the loss, in fp16.

    Where its batch comes from is set later: `batch`.
    """

    batch: Batch

    def __init__(self, gradients: Gradients, optimizer: Optimizer, seed: int, scaling: LossScale | None) -> None:
        self._gradients, self._model, self._optimizer, self._seed = gradients, gradients.model, optimizer, seed
        self._scaling = scaling
        self.recorder = Recorder(self._model.device)
        self.ledger = Ledger(self._model.device, accumulator(self._model.dtype), len(optimizer.row(optimizer.lr, 0)))
        self._statistics = Backup(list(self._model.state.values()))
        self._replays: dict[int, Work] = {}  # by how many steps they are

    @property
    def recorded(self) -> bool:
        """Whether steps are replayed."""
        return bool(self._replays)

    def record(self, steps: int = 1) -> None:
        """Record a graph of so many steps. What cannot be recorded raises, and nothing has changed then."""

        def work() -> None:
            for _ in range(steps):
                self._statistics.keep()
                self._train(recorded=True)

        self._replays[steps] = self.recorder.record(work)

    def queue(self, steps: int) -> None:
        """Queue so many steps: as graphs, the largest first, or as they are before one is recorded.

        In the latter case an error in one leaves the network as it was before it.
        """
        if not self._replays:
            with self.recorder.memory():
                for _ in range(steps):
                    self._statistics.keep()
                    self._try()
            return
        for size in sorted(self._replays, reverse=True):
            for _ in range(steps // size):
                self._replays[size]()
            steps %= size

    def close(self) -> None:
        """Forget graphs and gradients, and give back their memory."""
        self._replays.clear()
        self._model.zero_grad()
        self.recorder.release()

    def _try(self) -> None:
        try:
            self._train(recorded=False)
        except Exception:
            self._statistics.put_back()
            self._model.zero_grad()
            raise

    def _train(self, recorded: bool) -> None:
        ledger, params = self.ledger, self._model.params
        x, labels = self.batch()
        step, scaling = Step(self._seed, 0, now=ledger.step), self._scaling
        scale = scaling.scale if scaling else None
        loss, correct = self._gradients.queued(x, labels, step, scale, recorded=recorded)
        ledger.finish(loss, correct, [] if scaling else list(gradients(params).values()))
        if scaling:
            scaling.update(self._optimizer, params, stopped=ledger.skip, lr=0.0, step=0, numbers=ledger.numbers)
        else:
            self._optimizer.update(params, lr=0.0, step=0, numbers=ledger.numbers, skip=ledger.skip)
        self._statistics.put_back(ledger.skip)


class CapturedStep:
    """One training step of an experiment as a graph, for benchmarks: called, it is replayed on the batch it was given.

    x, labels: a batch on `device`, which stays where it is. The learning rate is the optimizer's. stream: where it
    runs; `model`: what it trains. steps: of the graph. Raises what keeps them from being recorded.
    """

    def __init__(self, experiment: Experiment, x: Array, labels: Array, device: Device, steps: int = 1) -> None:
        self.model: Model = build_model(experiment, x.shape[1:], device)
        optimizer = experiment.optimizer.build()
        optimizer.build(self.model.params)
        parts = Gradients(self.model, experiment.loss.build(), experiment.training.micro_batch, lambda text: None)
        self.step = GraphStep(parts, optimizer, experiment.seed, loss_scale(experiment, device))
        self.step.batch = lambda: (x, labels)
        self.stream, self._steps = self.step.recorder.stream, steps
        self.step.recorder.begin()
        with self.stream:
            self.step.ledger.open(0, [optimizer.row(optimizer.lr, 0)] * ROWS)
        with computing(experiment):
            self.step.queue(WARM_UP)
            self.step.record(steps)
        self.stream.synchronize()

    def __call__(self) -> None:
        """Queue the step, or the `steps` that the graph is of."""
        self.step.queue(self._steps)

    def losses(self) -> Array:
        """Wait; return the losses of the last steps: at most ROWS, in a ring."""
        self.stream.synchronize()
        return self.step.ledger.losses()
