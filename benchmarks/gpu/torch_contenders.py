"""PyTorch's training step on the GPU, at its best: in each of its forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu import exchange
from benchmarks.gpu.ceilings import use_tf32
from benchmarks.gpu.contenders import COMPILED, COMPILED_GRAPH, EAGER, GRAPH, SCORED, Contender
from benchmarks.gpu.networks import HALVES
from benchmarks.peers.base import Batch
from benchmarks.peers.torch_step import Torch
from gpucnn.backend import Array
from gpucnn.config import Experiment
from gpucnn.model import Model

WARM_UP = 3
"""Steps before a step is captured, so that libraries have chosen their algorithms and optimizers made their state."""


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


def make(name: str, experiment: Experiment, batch: Batch, host: Model, steps: int) -> Contender:
    """Return a contender by its name, with the weights of `host`. steps: how many a graph captured by hand is of."""
    no_graphs = "max-autotune-no-cudagraphs"
    makers: dict[str, Callable[[], Contender]] = {
        EAGER: lambda: TorchOnDevice(experiment, batch, host),
        GRAPH: lambda: TorchAsGraph(experiment, batch, host, steps=steps),
        COMPILED: lambda: TorchCompiled(experiment, batch, host),
        COMPILED_GRAPH: lambda: TorchAsGraph(experiment, batch, host, mode=no_graphs, steps=steps),
    }
    return makers[name]()
