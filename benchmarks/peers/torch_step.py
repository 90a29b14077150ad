"""PyTorch's step with a network of gpucnn's."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.peers.base import LEARNING_RATE, Batch
from benchmarks.peers.torch_network import Weight, convert
from gpucnn.backend import Array
from gpucnn.config import Experiment
from gpucnn.errors import ArgumentError
from gpucnn.model import Model
from gpucnn.registry import Spec


class Torch:
    """The network of `model` in PyTorch, with the weights that it has now, on the CPU."""

    def __init__(
        self, experiment: Experiment, batch: Batch, model: Model, *, channels_last: bool, compiled: bool = False
    ) -> None:
        self.name = f"PyTorch {'compiled' if compiled else 'eager'} {'channels_last' if channels_last else 'NCHW'}"
        module, self.weights = convert(model, channels_last=channels_last)
        self.module: Any = torch.compile(module) if compiled else module
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.x = torch.from_numpy(batch.x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        self.labels = torch.from_numpy(batch.labels)
        self.loss = _loss(experiment.loss, self.x.dtype)
        self.optimizer = _optimizer(experiment.optimizer, self.weights)

    def step(self) -> None:
        """Train on the batch."""
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.module(self.x), self.labels).backward()
        self.optimizer.step()

    def evaluate(self) -> None:
        """Compute the scores of the batch."""
        self.module.eval()
        with torch.inference_mode():
            self.module(self.x)

    def scores(self) -> Array:
        """Return the scores of the batch."""
        self.module.eval()
        with torch.inference_mode():
            scores: Array = self.module(self.x).numpy()
        return scores


def _loss(spec: Spec[Any], dtype: torch.dtype) -> nn.Module:
    if spec.name != "cross_entropy":
        raise ArgumentError(f"loss: there is no {spec.name} in the conversion to PyTorch")
    a: Any = spec.arguments
    weights = None if a.class_weights is None else torch.tensor(a.class_weights, dtype=dtype)
    return nn.CrossEntropyLoss(weights, label_smoothing=a.label_smoothing)


def _optimizer(spec: Spec[Any], weights: dict[str, Weight]) -> torch.optim.Optimizer:
    """Return the optimizer in PyTorch's fastest form for the CPU, with decay where ours has it."""
    a: Any = spec.arguments
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    if spec.name not in kinds:
        raise ArgumentError(f"optimizer: there is no {spec.name} in the conversion to PyTorch")
    if spec.name == "sgd":
        options = {"momentum": a.momentum, "nesterov": a.nesterov}
    else:
        options = {"betas": (a.beta1, a.beta2), "eps": a.eps}
    groups = [
        {"params": [w.tensor for w in weights.values() if (w.decay or a.decay_all) is decays], "weight_decay": decay}
        for decays, decay in ((True, a.weight_decay), (False, 0.0))
    ]
    groups = [group for group in groups if group["params"]]
    return kinds[spec.name](groups, lr=LEARNING_RATE, fused=True, **options)
