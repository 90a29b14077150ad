"""Steps of optimizers, each array read and written once; the reference's arithmetic, and its bits.

Numbers are rounded where NumPy rounds them: these loops are compiled without freedoms, and what is constant is rounded
to float32 first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.rates import adam_numbers


def sgd_update(
    values: list[Array], grads: list[Array], velocities: list[Array] | None, decayed: Sequence[bool], *, lr: float,
    momentum: float, decay: float, nesterov: bool,
) -> None:  # fmt: skip
    """Take one step of stochastic gradient descent; see `gpucnn.ops.sgd_update`."""
    rate, share, moving, still = np.float32(lr), np.float32(momentum), velocities is not None, np.empty(0, np.float32)
    for value, grad, velocity, decays in zip(values, grads, velocities or [still] * len(values), decayed, strict=True):
        _sgd(value, grad, velocity, rate, moving, share, np.float32(decay if decays else 0), nesterov)


def adam_update(
    values: list[Array], grads: list[Array], means: list[Array], squares: list[Array], decayed: Sequence[bool], *,
    lr: float, step: int, beta1: float, beta2: float, eps: float, decay: float, decoupled: bool,
) -> None:  # fmt: skip
    """Take one step of Adam, or of AdamW where the decay is `decoupled`; see `gpucnn.ops.adam_update`."""
    rate, root, keep = adam_numbers(lr, step, beta1, beta2, decay, decoupled)
    constants = tuple(np.float32(number) for number in (beta1, 1 - beta1, beta2, 1 - beta2, root, eps, rate))
    for value, grad, mean, square, decays in zip(values, grads, means, squares, decayed, strict=True):
        kept = np.float32(keep if decays else 1)
        _adam(value, grad, mean, square, constants, kept, np.float32(decay if decays and not decoupled else 0))


def adagrad_update(
    values: list[Array], grads: list[Array], squares: list[Array], decayed: Sequence[bool], *, lr: float, eps: float,
    decay: float,
) -> None:  # fmt: skip
    """Take one step of Adagrad; see `gpucnn.ops.adagrad_update`."""
    for value, grad, square, decays in zip(values, grads, squares, decayed, strict=True):
        _adagrad(value, grad, square, np.float32(lr), np.float32(eps), np.float32(decay if decays else 0))


@compiled(freedoms=frozenset())
def _sgd(
    value: Array, grad: Array, velocity: Array, lr: np.float32, moving: bool, momentum: np.float32, decay: np.float32,
    nesterov: bool,
) -> None:  # fmt: skip
    for i in range(value.size):
        change = value[i] * decay + grad[i] if decay else grad[i]
        if moving:
            moved = velocity[i] * momentum + change
            velocity[i] = moved
            change = moved * momentum + change if nesterov else moved
        value[i] -= lr * change


@compiled(freedoms=frozenset())
def _adam(
    value: Array, grad: Array, mean: Array, square: Array, constants: tuple[np.float32, ...], kept: np.float32,
    decay: np.float32,
) -> None:  # fmt: skip
    beta1, rest1, beta2, rest2, root, eps, rate = constants
    for i in range(value.size):
        change = value[i] * decay + grad[i] if decay else grad[i]
        mean[i] = mean[i] * beta1 + rest1 * change
        square[i] = square[i] * beta2 + change * change * rest2
        value[i] = value[i] * kept - mean[i] / (np.sqrt(square[i]) / root + eps) * rate


@compiled(freedoms=frozenset())
def _adagrad(
    value: Array, grad: Array, square: Array, lr: np.float32, eps: np.float32, decay: np.float32
) -> None:  # fmt: skip
    for i in range(value.size):
        change = value[i] * decay + grad[i] if decay else grad[i]
        square[i] += change * change
        value[i] -= change / (np.sqrt(square[i]) + eps) * lr
