"""Who makes a training step on the GPU, and in which form: each is made with the same weights and the same batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from benchmarks.gpu import exchange
from benchmarks.gpu.ceilings import use_tf32
from benchmarks.gpu.networks import HALVES
from benchmarks.peers.base import Batch
from benchmarks.peers.gpucnn import Gpucnn
from benchmarks.peers.torch_step import Torch
from benchmarks.processes import Failed
from gpucnn.backend import Array, Device, to_numpy
from gpucnn.config import Experiment
from gpucnn.config.implementations import computing
from gpucnn.errors import GpucnnError
from gpucnn.model import Model
from gpucnn.training.parts import build_model

SCORED = 8
"""How many images' scores are compared: evaluation looks at each by itself."""

SAME_LOSS = 1e-2
"""By how much losses of the same step may differ: where operations are fused, halves are rounded at other places."""

WARM_UP = 3
"""Steps before a step is captured, so that libraries have chosen their algorithms and optimizers made their state."""


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
    """gpucnn's steps, captured once and replayed. Raises Missing where this gpucnn cannot capture them."""

    def __init__(self, experiment: Experiment, batch: Batch, device: Device, *, steps: int = 1) -> None:
        try:
            from gpucnn.training.graph import CapturedStep
        except ImportError:
            raise Missing("this version of gpucnn does not capture steps") from None
        self.steps = steps
        self._eager = Ours(experiment, batch, device)
        with computing(experiment):
            self.step = CapturedStep(experiment, self._eager.batch.x, self._eager.batch.labels, device, steps)

    def prepare(self) -> None:
        """Set nothing."""

    def scores(self) -> Array:
        """Return those of the same network, step by step; raises Failed where its loss is not that of the graph."""
        self._eager.step()
        expected, losses = float(self._eager.loss_value), self.step.losses()
        if not abs(float(losses[0]) - expected) <= SAME_LOSS * abs(expected):
            raise Failed(f"the graph's first loss is {float(losses[0]):.6g}, not {expected:.6g}")
        return self._eager.scores()


class TorchOnDevice(Torch):
    """PyTorch's step on the GPU: channels_last, halves by autocast, images in the precision that it computes in."""

    steps = 1

    def __init__(self, experiment: Experiment, batch: Batch, host: Model, *, mode: str | None = None) -> None:
        super().__init__(experiment, batch, host, channels_last=True)
        self.precision = experiment.precision
        self.module.to(exchange.WHERE)  # after the optimizer was made: its tensors stay the module's
        self.loss.to(exchange.WHERE)
        self.half = getattr(torch, HALVES[self.precision]) if self.precision in HALVES else None
        self.x = self.x.to(exchange.WHERE, self.half)
        self.labels = self.labels.to(exchange.WHERE)
        self._lost = self._loss if mode is None else torch.compile(self._loss, mode=mode)

    def prepare(self) -> None:
        """Let float32 use TF32, or not."""
        use_tf32(torch, self.precision == "tf32")

    def _loss(self, x: Any, labels: Any) -> Any:
        with torch.autocast(exchange.WHERE, self.half, enabled=self.half is not None):
            return self.loss(self.module(x), labels)

    def step(self) -> Any:
        """Train on the batch."""
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        self._lost(self.x, self.labels).backward()
        self.optimizer.step()

    def scores(self) -> Array:
        """Return the scores of the first images, on the host."""
        self.prepare()
        self.module.eval()
        with torch.inference_mode(), torch.autocast(exchange.WHERE, self.half, enabled=self.half is not None):
            scores: Array = self.module(self.x[:SCORED]).float().cpu().numpy()
        return scores


class TorchCompiled(TorchOnDevice):
    """PyTorch's step with the network and its gradient compiled: torch.compile captures graphs of its own."""

    def __init__(self, experiment: Experiment, batch: Batch, host: Model) -> None:
        super().__init__(experiment, batch, host, mode="max-autotune")

    def step(self) -> Any:
        """Train on the batch."""
        torch.compiler.cudagraph_mark_step_begin()
        super().step()


class TorchAsGraph(TorchOnDevice):
    """PyTorch's whole step captured by hand, update included: after https://docs.pytorch.org/docs/stable/notes/cuda.html."""

    def __init__(
        self, experiment: Experiment, batch: Batch, host: Model, *, mode: str | None = None, steps: int = 1
    ) -> None:
        super().__init__(experiment, batch, host, mode=mode)
        self.steps = steps
        for group in self.optimizer.param_groups:
            if "capturable" in group:  # Adam's count of steps has to be on the device
                group["capturable"] = True
        self._graph: Any = None

    def step(self) -> Any:
        """Replay the steps, which the first call captures."""
        if self._graph is None:
            self._graph = self._captured()
        self._graph.replay()

    def _captured(self) -> Any:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                super().step()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(self.steps):
                super().step()
        return graph


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
comes before."""


def make(name: str, experiment: Experiment, batch: Batch, host: Model, device: Device, steps: int = 1) -> Contender:
    """Return a contender by its name. host: the network on the CPU in float32, whose weights the peers copy.

    steps: how many a graph is of, ours or one that is captured by hand. Raises Missing where it cannot be had.
    """
    makers: dict[str, Callable[[], Contender]] = {
        GPUCNN: lambda: Ours(experiment, batch, device),
        GPUCNN_GRAPH: lambda: OursAsGraph(experiment, batch, device, steps=steps),
        EAGER: lambda: TorchOnDevice(experiment, batch, host),
        GRAPH: lambda: TorchAsGraph(experiment, batch, host, steps=steps),
        COMPILED: lambda: TorchCompiled(experiment, batch, host),
        COMPILED_GRAPH: lambda: TorchAsGraph(experiment, batch, host, mode="max-autotune-no-cudagraphs", steps=steps),
        JAX: lambda: _jax(experiment, batch, host),
    }
    return makers[name]()
