"""Steps of optimizers, and what mixed precision adds to them: finite or not, the loss's scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpucnn.ops.finite import count_nonfinite
from gpucnn.ops.loss_scale import adapt_loss_scale
from gpucnn.ops.update import adagrad_update, adam_update, sgd_update
from mutants.arrays import X
from mutants.mutant import Mutant, Run


def steps(update: Callable[..., None], slots: int, **options: Any) -> list[Any]:
    """Of two arrays, one of several chunks and exempt from decay."""
    large = np.resize(X, 5000)
    values, *remembered = ([array.copy() for array in (X, large)], *([abs(X), abs(large)] for _ in range(slots)))
    update(values, [X[::-1].copy(), large[::-1].copy()], *remembered, [True, False], **options)
    return [array for arrays in (values, *remembered) for array in arrays]


def from_the_device() -> list[Any]:
    """Steps whose numbers, scale and whether they are taken stand in arrays."""
    scale, no, yes = np.array([4], np.float32), np.zeros(1, np.int32), np.ones(1, np.int32)
    sgd, adagrad = {"lr": 9, "momentum": 0.9, "decay": 0.1, "nesterov": False}, {"lr": 9, "eps": 0.1, "decay": 0.1}
    adam = {"lr": 9, "step": 9, "beta1": 0.9, "beta2": 0.99, "eps": 0.1, "decay": 0.1, "decoupled": True}
    one, three = np.array([0.1], np.float32), np.array([0.2, 0.6, 0.9], np.float32)
    found = []
    for update, slots, options, row in (
        (sgd_update, 1, sgd, one), (adam_update, 2, adam, three), (adagrad_update, 1, adagrad, one),
    ):  # fmt: skip
        for skip in (no, yes):
            found += steps(update, slots, **options, numbers=row, skip=skip, unscale=scale)
    return found


def copied() -> list[Any]:
    """A step that is taken and one that is not, of an array without and two with a half copy."""
    given, found = [np.resize(X, size) for size in (5, 2100, 7)], []
    for skip in (np.zeros(1, np.int32), np.ones(1, np.int32)):
        values, squares = [x.copy() for x in given], [abs(x) for x in given]
        halves = [None, *(np.zeros(x.shape, np.float16) for x in given[1:])]
        options = {"lr": 0.1, "eps": 0.1, "decay": 0.1, "skip": skip, "copies": halves}
        adagrad_update(values, given, squares, [True] * 3, **options)
        found += [*values, *halves[1:]]
    return found


def scaled() -> list[Any]:
    """Steps of which the fourth is bad, and the second and the last double."""
    scale, counts, seen = np.array([8], np.float32), np.array([0, 5], np.int32), []
    for found in (0, 0, 0, 7, 0, 0):
        adapt_loss_scale(scale, counts, np.array([found], np.int32), 2)
        seen += [scale.copy(), counts.copy()]
    adapt_loss_scale(scale, counts, np.array([1], np.int32), 2, np.array([1], np.int32))
    return [*seen, scale, counts]


def nonfinite() -> list[Any]:
    """Of a short array and one of several chunks."""
    long = np.repeat([0.0, np.nan, 1.0, np.inf], [2000, 80, 20, 3]).astype(np.float32)
    return [count_nonfinite(np.ones(3, np.float32), long)]


RUNS: dict[str, Run] = {
    "sgd": lambda: steps(sgd_update, 1, lr=0.1, momentum=0.9, decay=0.1, nesterov=True),
    "adam": lambda: steps(adam_update, 2, lr=0.1, step=3, beta1=0.9, beta2=0.99, eps=0.1, decay=0.1, decoupled=False),
    "adagrad": lambda: steps(adagrad_update, 1, lr=0.1, eps=0.1, decay=0.1),
    "from the device": from_the_device,
    "half copies": copied,
    "loss scale": scaled,
    "finite": nonfinite,
}

MUTANTS = [
    Mutant("loss_scale", "element() > 0 || ", "", "loss scale"),
    Mutant("loss_scale", " || (stopped && *stopped)", "", "loss scale"),
    Mutant("loss_scale", "*scale *= 0.5f, ", "", "loss scale"),
    Mutant("loss_scale", "counts[0] = 0, counts[1] += 1", "counts[1] += 1", "loss scale"),
    Mutant("loss_scale", "counts[0] + 1 < growth", "counts[0] < growth", "loss scale"),
    Mutant("loss_scale", "*scale *= 2.0f, counts[0] = 0", "*scale *= 2.0f", "loss scale"),
    Mutant("update", "g + momentum * v", "g + v", "sgd"),
    Mutant("update", "sqrt(s) / root + eps", "sqrt(s + eps) / root", "adam"),
    Mutant("update", "chunk.flag ? decay", "true ? decay", "sgd"),
    Mutant("update", "chunk.flag ? decay", "true ? decay", "adam"),
    Mutant("update", "i = chunk.begin + threadIdx.x", "i = threadIdx.x", "sgd"),
    Mutant("update", "i < chunk.end", "i <= chunk.end", "sgd"),
    Mutant("update", "i += THREADS", "i += THREADS - 1", "adam"),
    Mutant("update", "chunks + 4 * blockIdx.x", "chunks", "sgd"),
    Mutant("update", "squares[chunk.array]", "squares[0]", "adam"),
    Mutant("update", "square[i] + g * g", "square[i]", "adagrad"),
    Mutant("update", "length * g / (sqrt(s) + eps)", "length * g / sqrt(s + eps)", "adagrad"),
    Mutant("update", "numbers ? *numbers : lr", "lr", "from the device"),
    Mutant("update", "root = numbers[1]", "root = numbers[2]", "from the device"),
    Mutant("update", "skip && *skip", "false", "from the device"),
    Mutant("update", "Acc(1) / Acc(*scale)", "Acc(*scale)", "from the device"),
    Mutant("update", "copies[chunk.array]", "copies[1]", "half copies", "float16"),
    Mutant("update", "copy[i] = T(w)", "copy[i] = T(value[0])", "half copies", "float16"),
    Mutant("update", "value[i] = w;", "value[i] = T(w);", "half copies", "float16"),
    Mutant("update", "if (copy) ", "", "half copies", "float16"),
    Mutant("update", "skip && *skip", "false", "half copies", "float16"),
    Mutant("finite", "atomicAdd(total, found)", "*total += found", "finite"),
    Mutant("finite", "i < chunk.end", "i <= chunk.end", "finite"),
    Mutant("finite", "arrays[chunk.array]", "arrays[0]", "finite"),
    Mutant("finite", "!(v - v == 0)", "v != v", "finite"),
]
