"""Pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn import ops
from mutants.arrays import X
from mutants.mutant import Mutant, Run

POOL: dict[str, Any] = {"kernel_size": (3, 2), "stride": (2, 1), "padding": ((1, 0), (0, 1))}
WHOLE = np.round(X)  # many equal numbers
WHOLE[0, 3, 3, 1] = np.nan


def max_pool() -> list[Any]:
    y, index = ops.max_pool2d(WHOLE, **POOL)
    rectified = ops.max_pool2d(WHOLE, **POOL, relu=True)
    return [y, index, *rectified, ops.max_pool2d_backward(np.float32(index), index, X.shape, **POOL)]


def mean_pool() -> list[Any]:
    y = ops.avg_pool2d(X, **POOL, count_include_pad=False)
    return [y, ops.avg_pool2d_backward(y, X.shape, **POOL, count_include_pad=False)]


RUNS: dict[str, Run] = {
    "max pool": max_pool,
    "mean pool": mean_pool,
}

MUTANTS = [
    Mutant("pool2d", "v > best.value", "v >= best.value", "max pool"),
    Mutant("pool2d", "if (v != v) best = {v, g.R * g.S};", "", "max pool"),
    Mutant("pool2d", "relu && best.value <= 0", "relu && best.value < 0", "max pool"),
    Mutant("pool2d", "== tap", "!= tap", "max pool"),
    Mutant("pool2d", "- max(start, 0)", "- start", "mean pool"),
    Mutant("pool2d", "out(position, g.P, g.Q, 1)", "out(position, g.Q, g.P, 1)", "mean pool"),
]
