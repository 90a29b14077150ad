"""What a step in a graph keeps on the device: its numbers, its counters, copies to go back to."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn.backend import Device
from gpucnn.cuda.step import ROWS, Backup, Ledger
from mutants.arrays import B, X
from mutants.mutant import Mutant, Run, on_kernels

EXPECTED_PAGE: list[Any] = [
    *(np.array([8, 1, 1, 0]), np.array([0, 0.5])),
    *(np.array([9, ROWS - 1, 2, 0]), np.array([ROWS - 2, ROWS - 1.5])),
    *(np.array([10, 0, 3, 0]), np.array([ROWS - 1, ROWS - 0.5])),
    *(np.array([10, 0, 3, 1]), np.array([ROWS - 1, ROWS - 0.5])) * 2,
    np.array([0, 0, 0.25, 0.5]),
    np.array([0, 0, 1, 2]),
]
"""Step, row, batch and skip after each step, and its numbers; then losses and counts of the first and last rows."""


def copied_arrays() -> list[Any]:
    """Of one array of several chunks and a short one: kept as they are, left as they were changed, put back."""
    arrays = [np.resize(X, 5000).copy(), B.copy()]
    kept, changed = ([array + number for array in arrays] for number in (1, 2))
    if not on_kernels():
        return [*changed, *kept]
    backup = Backup(arrays)
    arrays[0] += 1
    arrays[1] += 1
    backup.keep()
    arrays[0] += 1
    arrays[1] += 1
    backup.put_back(np.zeros(1, np.int32))
    left = [array.copy() for array in arrays]
    backup.put_back(np.ones(1, np.int32))
    return [*left, *arrays]


def finished() -> list[Any]:
    """Steps of a page of which the third has a gradient that is not finite; and the row that comes after the last."""
    ledger = Ledger(Device("cpu"), np.float32, 2)
    if not on_kernels():
        return EXPECTED_PAGE
    ledger.open(7, [(i, i + 0.5) for i in range(ROWS)])
    found = []
    for i in range(5):
        ledger._counters[1] += (ROWS - 3) * (i == 1)
        grads = [np.full(3, np.inf if i == 3 else 1, np.float32), np.ones(1, np.float32)]
        ledger.finish(np.array(0.25 * i, np.float32), np.array([i], np.int32), grads)
        found += [ledger._counters.copy(), ledger.numbers.copy()]
    return [*found, ledger.losses()[[0, 1, -2, -1]], ledger._corrects[[0, 1, -2, -1]]]


RUNS: dict[str, Run] = {
    "copies": copied_arrays,
    "step": finished,
}

MUTANTS = [
    Mutant("copy", "where && !*where", "where && *where", "copies"),
    Mutant("copy", "i < chunk.end", "i < chunk.end - 1", "copies"),
    Mutant("copy", "to[chunk.array]", "to[0]", "copies"),
    Mutant("step", "if (element() != 0) return;", "", "step"),
    Mutant("step", "counters[SKIP] = 1", "return", "step"),
    Mutant("step", "if (counters[SKIP]) return;", "", "step"),
    Mutant("step", "page[row * width + i]", "page[row + i]", "step"),
    Mutant("step", "row + 1 < rows ? row + 1 : 0", "row + 1", "step"),
    Mutant("step", "++counters[STEP_NUMBER], ++counters[BATCH]", "++counters[STEP_NUMBER]", "step"),
]
