"""Runs the kernels of probe.cu: what instructions do, beside what the same is in plain C++."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gpucnn.cuda.launch import THREADS, blocks, launch

CHUNK = 2**30


def wrong_roundings(xp: Any, ranges: Iterable[tuple[int, int]]) -> Any:
    """Return how often an instruction's result is not the plain one, over ranges (first, count) of a float's 32 bits.

    Four counts: float to float16, float to bfloat16, float16 (the low 16 bits) to float, float to TF32.
    """
    wrong = xp.zeros(4, np.int32)
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


WARP = 32


def multiplied(xp: Any) -> tuple[Any, Any]:
    """Return products of matrices of small whole numbers, as TF32, float16 and bfloat16, and what they should be."""
    rng = np.random.default_rng(5)
    a, b = (rng.integers(-8, 9, (rows, 16)).astype(np.float32) for rows in (16, 8))
    c = xp.full((3, 16, 8), np.nan, np.float32)
    launch("probe_products", (1,), block=WARP, a=xp.asarray(a), b=xp.asarray(b), c=c)
    return c, np.stack([a[:, :8] @ b[:, :8].T, a @ b.T, a @ b.T])


def loaded(xp: Any) -> tuple[Any, Any]:
    """Return what lanes load of four matrices of numbered halves, and what they should."""
    x = np.arange(WARP * 8, dtype=np.uint16).reshape(WARP, 8)
    y = xp.zeros((2, 4, WARP), np.uint32)
    launch("probe_matrices", (1,), block=WARP, shared=x.nbytes, x=xp.asarray(x.view(np.uint32)), y=y)
    matrices = x[np.arange(WARP) * 5 % WARP].reshape(4, 8, 8)
    expected = [np.ascontiguousarray(m).view(np.uint32) for m in (matrices, matrices.swapaxes(1, 2))]
    return y, np.stack(expected).reshape(2, 4, WARP)


def filled(xp: Any) -> tuple[Any, Any]:
    """Return what copies of a part of 16 bytes leave behind, and what they should."""
    x = np.arange(1, 49, dtype=np.uint8).reshape(3, 16)
    y = xp.zeros((3, WARP, 16), np.uint8)
    launch("probe_zeros", (1,), block=WARP, shared=y.nbytes, x=xp.asarray(x), y=y)
    there = np.arange(16) < np.arange(WARP)[:, None] % 17
    return y, x[:, None] * there


TOGETHER = (multiplied, loaded, filled)
"""What warps do together, from sm_80 on."""
