"""Sums of rows and of parts, in a fixed order."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn.cuda import sums
from gpucnn.ops.sums import sum_rows
from mutants.arrays import X
from mutants.mutant import Mutant, Run, on_kernels


def sums_together() -> list[Any]:
    """Of two arrays, one of several blocks."""
    parts = [X.reshape(24, -1)[:, :7].copy(), X.reshape(4, -1)]
    if not on_kernels():
        return [part.sum(axis=0) for part in parts]
    out = [np.empty(part.shape[1:], np.float32) for part in parts]
    with sums.together(), sums.later():
        for pair in zip(parts, out, strict=True):
            sums.add_parts_into(*pair)
    return out


RUNS: dict[str, Run] = {
    "sum rows": lambda: [sum_rows(X)],
    "sums together": sums_together,
}

MUTANTS = [
    Mutant("sums", "own[1] + threadIdx.x", "threadIdx.x", "sums together"),
    Mutant("sums", "if (i < count) sums", "sums", "sums together"),
    Mutant("sums", "in_order(parts[own[0]]", "in_order(parts[0]", "sums together"),
    Mutant("sums", "lane < LANES", "lane <= LANES", "sum rows"),
    Mutant("sums", "row < own.end", "row + 1 < own.end", "sum rows"),
    Mutant("sums", "c < columns ? part.end : 0", "part.end", "sum rows"),
    Mutant("sums", "lane == 0 && c < columns", "c < columns", "sum rows"),
    Mutant("sums", "parts[j * count + i]", "parts[j * count]", "sum rows"),
]
