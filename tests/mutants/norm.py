"""Batch normalisation, and a bias with its activation."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn import ops
from gpucnn.ops.activation import RELU
from gpucnn.ops.batch_norm_activation import Running
from gpucnn.ops.batch_norm_max_pool2d import Pooling
from mutants.arrays import X
from mutants.mutant import Mutant, Run


def batch_norm() -> list[Any]:
    y, mean, var, saved = ops.batch_norm_train(X + 3, X[0, 0, 0], X[0, 0, 1])
    return [y, mean, var, *ops.batch_norm_backward(X, saved)]


def batch_norm_and_all() -> list[Any]:
    """Of 12 channels, whose threads do not fill a block, with an array added, relu and running statistics."""
    x = X.reshape(-1, 12)
    running = Running(np.full(12, 2, np.float32), np.ones(12, np.float32), 0.5)
    y, *_, saved = ops.batch_norm_activation_train(x + 3, x[0], x[1], 1e-3, RELU, x[::-1].copy(), running)
    return [y, running.mean, running.var, *ops.batch_norm_activation_backward(x, saved)]


def behind(bias: bool) -> list[Any]:
    """Behind an activation, with and without a bias."""
    g, db = ops.bias_activation_backward(X, (X, X), RELU, bias)
    return [g] if db is None else [g, db]


def maxima() -> list[Any]:
    x = np.round(X)
    y, saved = ops.batch_norm_max_pool2d_train(x, X[0, 0, 0], X[0, 0, 1], Pooling(3, 2, 1, relu=True))
    return [y, saved.chosen, *ops.batch_norm_max_pool2d_backward(y, saved)]


RUNS: dict[str, Run] = {
    "maxima": maxima,
    "batch norm": batch_norm,
    "batch norm and all": batch_norm_and_all,
    "behind": lambda: [g for bias in (True, False) for g in behind(bias)],
}

MUTANTS = [
    Mutant("batch_norm", "before * (value - mean[i])", "before * before", "batch norm"),
    Mutant("batch_norm", "mean[i] += apart * share", "mean[i] += apart", "batch norm"),
    Mutant("batch_norm", "  __syncthreads();\n  for", "  for", "batch norm"),
    Mutant("batch_norm", "    __syncthreads();\n  }", "  }", "batch norm"),
    Mutant("batch_norm", "own.lane < active - kept", "own.lane < kept", "batch norm and all"),
    Mutant("batch_norm", "kept = (active + 1) / 2", "kept = active / 2", "batch norm and all"),
    Mutant("batch_norm", "c < C && lane < lanes", "c < C", "batch norm and all"),
    Mutant("batch_norm", "j < pieces", "j < pieces - 1", "batch norm"),
    Mutant("batch_norm", "min(size, rows - j * size)", "size", "batch norm"),
    Mutant("batch_norm", "own.c < C && j", "j", "batch norm"),
    Mutant("batch_norm", "z ? v + Acc(added.of[i]) : v", "v", "batch norm and all"),
    Mutant("batch_norm", "const Acc v = given ? y :", "const Acc v =", "batch norm and all"),
    Mutant("batch_norm", "rows - 1)", "rows)", "batch norm and all"),
    Mutant("batch_norm", "(1 - momentum) * running_mean[c]", "running_mean[c]", "batch norm and all"),
    Mutant("batch_norm", "fma(-mean[c], scale[c], beta[c])", "beta[c]", "ended"),
    Mutant("batch_norm_max_pool2d", "if (tap == g.R * g.S) continue;", "", "maxima"),
    Mutant("batch_norm_max_pool2d", "tap / g.S, tap % g.S", "tap % g.S, tap / g.S", "maxima"),
    Mutant("batch_norm_max_pool2d", "== tap) sum", "<= tap) sum", "maxima"),
    Mutant("batch_norm_max_pool2d", "- tilt", "+ tilt", "maxima"),
    Mutant("batch_norm_max_pool2d", "Acc(g.N * g.H * g.W)", "Acc(g.N * g.P * g.Q)", "maxima"),
    Mutant("bias_activation", "sum.value[i] += behind", "sum.value[i] += Acc(given.of[i])", "behind"),
    Mutant("bias_activation", "!parts || own.lane", "own.lane", "behind"),
]
