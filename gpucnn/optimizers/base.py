"""What an optimizer is: gradients and a learning rate to new weights, in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from gpucnn.backend import Array, array_module
from gpucnn.halves import Copies
from gpucnn.layers.base import Parameter
from gpucnn.registry import Registered


class Weights(NamedTuple):
    """The parameters that a step updates: each list has one item a parameter."""

    values: list[Array]
    grads: list[Array]
    slots: dict[str, list[Array]]
    """By the name of the slot."""
    decayed: list[bool]
    """Whether weight decay applies to it."""
    copies: Copies
    """What is written beside the values, rounded: the copies that a network of halves computes with."""


class Optimizer(Registered, ABC, kind="optimizer", package="gpucnn.optimizers"):
    """Base of all optimizers. `state` maps `SLOT:PATH` to an array for each slot and parameter; checkpoints keep it.

    Weight decay applies to parameters whose `decay` is true (weights, not biases and norms), or to all of them
    with `decay_all`. norm_bias_lr: what the learning rate is multiplied by for the biases of norms.
    """

    slots: tuple[str, ...] = ()
    """What is remembered of each parameter from step to step: the names of arrays of its shape."""

    def __init__(self, lr: float, weight_decay: float, decay_all: bool, norm_bias_lr: float) -> None:
        self.lr, self.weight_decay, self.decay_all = lr, weight_decay, decay_all
        self.norm_bias_lr = norm_bias_lr
        self.state: dict[str, Array] = {}

    def build(self, params: Mapping[str, Parameter]) -> None:
        """Make the state, all zeros, for these parameters (path to parameter)."""
        self.state = {
            f"{slot}:{path}": array_module(p.value).zeros_like(p.value)
            for path, p in params.items()
            for slot in self.slots
        }

    def update(self, params: Mapping[str, Parameter], *, lr: float, step: int, **told: Array | None) -> None:
        """Update every parameter that has a gradient, and its half copy. lr: this step's, schedule applied.

        step: from 0. told: what the device knows of a step that is queued ahead, see `gpucnn.ops.update`; of `numbers`,
        those that `row` returns.
        """
        row = told.pop("numbers", None)
        for i, factor in enumerate(self._factors):
            own = {path: p for path, p in params.items() if (self.norm_bias_lr if p.shifts_norm else 1.0) == factor}
            if row is not None:
                width = len(row) // len(self._factors)
                told["numbers"] = row[i * width : (i + 1) * width]
            self._update(own, float(lr) * factor, step, **told)

    def _update(self, params: Mapping[str, Parameter], lr: float, step: int, **told: Array | None) -> None:
        """Update parameters that have the same learning rate."""
        grads = {path: p.grad for path, p in params.items() if p.grad is not None}
        if grads:
            chosen = [params[path] for path in grads]
            slots = {slot: [self.state[f"{slot}:{path}"] for path in grads] for slot in self.slots}
            decayed = [p.decay or self.decay_all for p in chosen]
            copies = [p.half for p in chosen] if any(p.half is not None for p in chosen) else None
            weights = Weights([p.value for p in chosen], list(grads.values()), slots, decayed, copies)
            self.update_all(weights, lr, step, **told)

    @abstractmethod
    def update_all(self, weights: Weights, lr: float, step: int, **told: Array | None) -> None:
        """Update the values, slots and copies of `weights` in place; the gradients stay as they are.

        told: `numbers`, in place of what `self.numbers` returns for lr and step; `skip`; `unscale`. None where missing.
        """

    def numbers(self, lr: float, step: int) -> tuple[float, ...]:
        """Return what an update takes from lr and step; none where it cannot be told: then steps are not queued."""
        return ()

    def row(self, lr: float, step: int) -> tuple[float, ...]:
        """Return the numbers of a step for each learning rate that parameters have, one after the other."""
        return tuple(number for factor in self._factors for number in self.numbers(lr * factor, step))

    @property
    def _factors(self) -> tuple[float, ...]:
        """What the learning rate is multiplied by: 1, and for the biases of norms something else where that is set."""
        return tuple(dict.fromkeys((1.0, self.norm_bias_lr)))
