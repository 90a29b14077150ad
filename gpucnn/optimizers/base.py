"""What an optimizer is: gradients and a learning rate to new weights, in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from gpucnn.backend import Array, array_module
from gpucnn.layers.base import Parameter
from gpucnn.registry import Registered


class Optimizer(Registered, ABC, kind="optimizer", package="gpucnn.optimizers"):
    """Base of all optimizers. `state` maps `SLOT:PATH` to an array for each slot and parameter; checkpoints keep it.

    Weight decay applies to parameters whose `decay` is true (weights, not biases and norms), or to all of them
    with `decay_all`.
    """

    slots: tuple[str, ...] = ()
    """What is remembered of each parameter from step to step: the names of arrays of its shape."""

    def __init__(self, lr: float, weight_decay: float, decay_all: bool) -> None:
        self.lr, self.weight_decay, self.decay_all = lr, weight_decay, decay_all
        self.state: dict[str, Array] = {}

    def build(self, params: Mapping[str, Parameter]) -> None:
        """Make the state, all zeros, for these parameters (path to parameter)."""
        self.state = {
            f"{slot}:{path}": array_module(p.value).zeros_like(p.value)
            for path, p in params.items()
            for slot in self.slots
        }

    def update(self, params: Mapping[str, Parameter], *, lr: float, step: int) -> None:
        """Update every parameter that has a gradient. lr: this step's, schedule applied. step: from 0."""
        for path, p in params.items():
            if p.grad is not None:
                decay = self.weight_decay if p.decay or self.decay_all else 0.0
                slots = {slot: self.state[f"{slot}:{path}"] for slot in self.slots}
                self.update_one(p.value, p.grad, slots, float(lr), decay, step)

    @abstractmethod
    def update_one(
        self, value: Array, grad: Array, slots: dict[str, Array], lr: float, decay: float, step: int
    ) -> None:
        """Update one parameter and its slots in place; `grad` stays as it is."""
