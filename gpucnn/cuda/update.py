"""Steps of optimizers by the kernels in update.cu: one launch changes all weights, and what is remembered of them.

numbers, skip, unscale and copies are those of `gpucnn.ops.update`, and stay on the device.
"""

from __future__ import annotations

from collections.abc import Sequence

from gpucnn.backend import Array
from gpucnn.cuda.chunks import chunk_table
from gpucnn.cuda.launch import launch
from gpucnn.dispatch import NotApplicable
from gpucnn.halves import Copies, is_half
from gpucnn.rates import adam_numbers


def sgd_update(
    values: list[Array], grads: list[Array], velocities: list[Array] | None, decayed: Sequence[bool], *, lr: float,
    momentum: float, decay: float, nesterov: bool, numbers: Array | None = None, skip: Array | None = None,
    unscale: Array | None = None, copies: Copies = None,
) -> None:  # fmt: skip
    """Take one step of SGD; velocities is None without momentum."""
    chunks = _chunks(values, decayed)
    launch(
        "sgd_update", (len(chunks),), values=values, grads=grads, velocities=velocities, chunks=chunks, lr=lr,
        momentum=momentum, decay=decay, nesterov=int(nesterov), numbers=numbers, skip=skip, unscale=unscale,
        copies=copies,
    )  # fmt: skip


def adam_update(
    values: list[Array], grads: list[Array], means: list[Array], squares: list[Array], decayed: Sequence[bool], *,
    lr: float, step: int, beta1: float, beta2: float, eps: float, decay: float, decoupled: bool,
    numbers: Array | None = None, skip: Array | None = None, unscale: Array | None = None,
    copies: Copies = None,
) -> None:  # fmt: skip
    """Take one step of Adam, or of AdamW if `decoupled`: the decay stands beside the gradient. step: from 0."""
    chunks = _chunks(values, decayed)
    rate, root, keep = adam_numbers(lr, step, beta1, beta2, decay, decoupled)
    launch(
        "adam_update", (len(chunks),), values=values, grads=grads, means=means, squares=squares, chunks=chunks,
        rate=rate, root=root, keep=keep, beta1=beta1, rest1=1 - beta1, beta2=beta2, rest2=1 - beta2, eps=eps,
        decay=0.0 if decoupled else decay, numbers=numbers, skip=skip, unscale=unscale, copies=copies,
    )  # fmt: skip


def adagrad_update(
    values: list[Array], grads: list[Array], squares: list[Array], decayed: Sequence[bool], *, lr: float, eps: float,
    decay: float, numbers: Array | None = None, skip: Array | None = None, unscale: Array | None = None,
    copies: Copies = None,
) -> None:  # fmt: skip
    """Take one step of Adagrad."""
    chunks = _chunks(values, decayed)
    launch(
        "adagrad_update", (len(chunks),), values=values, grads=grads, squares=squares, chunks=chunks, lr=lr, eps=eps,
        decay=decay, numbers=numbers, skip=skip, unscale=unscale, copies=copies,
    )  # fmt: skip


def _chunks(values: list[Array], decayed: Sequence[bool]) -> Array:
    if any(map(is_half, values)):
        raise NotApplicable("weights in float32 or float64 only")
    return chunk_table(values, decayed)
