"""Who makes a training step on the GPU, and in which form: each is made with the same weights and the same batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.gpu.tuning import as_runs_do
from benchmarks.peers.base import Batch
from benchmarks.peers.gpucnn import Gpucnn
from benchmarks.processes import Failed
from gpucnn.backend import Array, Device, to_numpy
from gpucnn.config import Experiment
from gpucnn.config.implementations import computing
from gpucnn.errors import GpucnnError
from gpucnn.model import Model
from gpucnn.training.graph import CapturedStep
from gpucnn.training.parts import build_model

SCORED = 8
"""How many images' scores are compared: evaluation looks at each by itself."""

SAME_LOSS = 1e-2
"""By how much losses of the same step may differ: where operations are fused, halves are rounded at other places."""


class Missing(GpucnnError):  # noqa: N818 - what it says of a contender
    """A contender that cannot be had here: the message says why."""


class Contender(Protocol):
    """A network with its batch on the device. steps: how many a call of `step` makes, several where they are short."""

    steps: int

    def prepare(self) -> None:
        """Set what is global, before a turn."""

    def step(self) -> Any:
        """Train on the batch."""

    def scores(self) -> Array:
        """Return the scores of the first images, on the host."""


class Ours(Gpucnn):
    """gpucnn's step, operation by operation, on a device."""

    steps = 1

    def __init__(self, experiment: Experiment, batch: Batch, device: Device) -> None:
        self.experiment, self.count = experiment, 0
        self.batch = Batch(device.asarray(batch.x), device.asarray(batch.labels))
        self.model = build_model(experiment, batch.x.shape[1:], device)
        self.loss, self.optimizer = experiment.loss.build(), experiment.optimizer.build()
        self.optimizer.build(self.model.params)

    def prepare(self) -> None:
        """Set nothing."""

    def scores(self) -> Array:
        """Return the scores of the first images, on the host."""
        return to_numpy(self.scores_of(self.batch.x[:SCORED]))


class OursAsGraph:
    """gpucnn's steps, captured once and replayed."""

    def __init__(self, experiment: Experiment, batch: Batch, device: Device, *, steps: int = 1) -> None:
        self.steps, self._made_of = steps, (experiment, batch, device)
        with computing(experiment), as_runs_do(device):
            x, labels = device.asarray(batch.x), device.asarray(batch.labels)
            self.step = CapturedStep(experiment, x, labels, device, steps)

    def prepare(self) -> None:
        """Set nothing."""

    def scores(self) -> Array:
        """Return those of the same network, step by step; raises Failed where its loss is not that of the graph."""
        eager = Ours(*self._made_of)
        eager.step()
        expected, losses = float(eager.loss_value), self.step.losses()
        if not abs(float(losses[0]) - expected) <= SAME_LOSS * abs(expected):
            raise Failed(f"the graph's first loss is {float(losses[0]):.6g}, not {expected:.6g}")
        return eager.scores()


def _jax(experiment: Experiment, batch: Batch, host: Model) -> Contender:
    try:
        import jax  # noqa: F401
    except ImportError:
        raise Missing("JAX is not installed") from None
    from benchmarks.peers.jax_step import Jax

    return Jax(experiment, batch, host, images=SCORED)


GPUCNN, GPUCNN_GRAPH = "gpucnn", "gpucnn graph"
EAGER, GRAPH, COMPILED, COMPILED_GRAPH = "PyTorch", "PyTorch graph", "PyTorch compiled", "PyTorch compiled, graph"
JAX = "JAX"

PARTS: dict[str, tuple[str, ...]] = {
    "steps": (GPUCNN_GRAPH, GPUCNN, GRAPH, EAGER),
    "compiled": (COMPILED, COMPILED_GRAPH),
    "jax": (JAX,),
}
"""Who is timed in which part; those of a part are timed by turns. Compiling may take minutes: what it must not hold up
comes before. PyTorch and JAX do not meet in a process: each brings a cuDNN of its own."""


def make(name: str, experiment: Experiment, batch: Batch, host: Model, device: Device, steps: int = 1) -> Contender:
    """Return a contender by its name. host: the network on the CPU in float32, whose weights the peers copy.

    steps: how many a graph is of, ours or one that is captured by hand. Raises Missing where it cannot be had.
    """
    if name.startswith(EAGER):
        from benchmarks.gpu import torch_contenders

        return torch_contenders.make(name, experiment, batch, host, steps)
    makers: dict[str, Callable[[], Contender]] = {
        GPUCNN: lambda: Ours(experiment, batch, device),
        GPUCNN_GRAPH: lambda: OursAsGraph(experiment, batch, device, steps=steps),
        JAX: lambda: _jax(experiment, batch, host),
    }
    return makers[name]()
