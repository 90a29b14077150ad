"""Runs the kernels of probe.cu: what instructions do, beside what the same is in plain C++."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gpucnn.cuda.launch import THREADS, blocks, launch

CHUNK = 2**30


def wrong_roundings(xp: Any, ranges: Iterable[tuple[int, int]]) -> Any:
    """Return how often an instruction's result is not the plain one, over ranges (first, count) of a float's 32 bits.

    Three counts: float to float16, float to bfloat16, float16 (the low 16 bits) to float.
    """
    wrong = xp.zeros(3, np.int32)
    for first, count in ranges:
        launch("probe_rounding", blocks(count), wrong=wrong, first=first, count=count)
    return wrong


def all_floats() -> list[tuple[int, int]]:
    """Return the ranges that together are all floats."""
    return [(first, CHUNK) for first in range(0, 2**32, CHUNK)]


def some_floats() -> list[tuple[int, int]]:
    """Return short ranges around where something changes: zero, the halves' ends, infinity, NaN, ties."""
    ends = [0.0, 2.0**-25, 2.0**-24, 2.0**-14, 1.0, 2048.5, 65504.0, 65520.0, 3.38e38, np.inf, np.nan]
    bits = np.array([*ends, *np.negative(ends)], np.float32).view(np.uint32).astype(np.int64)
    return [(int(max(0, at - 128)), 256) for at in bits]


def copied(xp: Any, groups: int = 3) -> tuple[Any, Any]:
    """Return words, and what copies of 4, 8 and 16 bytes make of them: (3, ...) of the same."""
    x = xp.arange(groups * THREADS * 4, dtype=np.uint32).reshape(groups, THREADS, 4)
    y = xp.zeros((3, *x.shape), np.uint32)
    launch("probe_copies", (groups, 1), x=x, y=y)
    return x, y
