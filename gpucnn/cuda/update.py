"""Steps of optimizers by the kernels in update.cu: weights, and what is remembered of them, change in place."""

from __future__ import annotations

import math

from gpucnn.backend import Array
from gpucnn.cuda.launch import blocks, launch


def sgd_update(
    value: Array, grad: Array, velocity: Array | None, *, lr: float, momentum: float, decay: float, nesterov: bool
) -> None:
    """Take one step of SGD; velocity is None without momentum."""
    launch(
        "sgd_update", blocks(value.size), value=value, grad=grad, velocity=velocity, count=value.size, lr=lr,
        momentum=momentum, decay=decay, nesterov=int(nesterov),
    )  # fmt: skip


def adam_update(
    value: Array, grad: Array, mean: Array, square: Array, *, lr: float, step: int, beta1: float, beta2: float,
    eps: float, decay: float, decoupled: bool,
) -> None:  # fmt: skip
    """Take one step of Adam, or of AdamW if `decoupled`: the decay stands beside the gradient. step: from 0."""
    launch(
        "adam_update", blocks(value.size), value=value, grad=grad, mean=mean, square=square, count=value.size,
        rate=lr / (1 - beta1 ** (step + 1)), root=math.sqrt(1 - beta2 ** (step + 1)),
        beta1=beta1, rest1=1 - beta1, beta2=beta2, rest2=1 - beta2, eps=eps,
        decay=0.0 if decoupled else decay, keep=1 - lr * decay if decoupled else 1.0,
    )  # fmt: skip
