"""Batches gathered from a data set on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
from checks.arrays import numbers
from checks.calls import some_frames

from gpucnn import ops
from mutants.mutant import Mutant, Run


def gathered() -> list[Any]:
    """Of images of several blocks; the one that comes last in the data set is the last in the batch, too."""
    rng = np.random.default_rng(4)
    images, indices = rng.integers(0, 256, (9, 5, 7, 3)).astype(np.uint8), np.array([3, 0, 0, 5, 8])
    frames = np.stack([some_frames(rng, len(indices), images.shape[1:]) for _ in range(2)], axis=1)
    given = (images, np.arange(9), indices, frames, *numbers(9, (3,), (3,), dtype="float32"))
    return [*ops.gather(*given), *ops.gather(*given, batch=np.array([1], np.int32), size=2)]


RUNS: dict[str, Run] = {
    "gather": gathered,
}

MUTANTS = [
    Mutant("gather", "count / (H * W * C)", "count / H", "gather"),
    Mutant("gather", "+ n, index", ", index", "gather"),
    Mutant("gather", "if (e >= count) return;", "", "gather"),
    Mutant("gather", "if (row == 0 && column == 0 && channel == 0) own_labels", "own_labels", "gather"),
    Mutant("gather", "own_labels[n] = labels[index]", "own_labels[n] = labels[n]", "gather"),
    Mutant("gather", "row < f.to_row", "row <= f.to_row", "gather"),
    Mutant("gather", "2 * (size - 1) - at", "2 * size - 1 - at", "gather"),
    Mutant("gather", "W - 1 - column", "column", "gather"),
    Mutant("gather", "(row != i || column != j)", "row != i", "gather"),
    Mutant("gather", "k >= 0 && !covered", "k >= 0", "gather"),
    Mutant(
        "gather", "int k = changes - 1; k >= 0 && !covered; --k", "int k = 0; k < changes && !covered; ++k", "gather"
    ),
    Mutant("gather", "[place * changes + k]", "[k]", "gather"),
    Mutant("gather", "shift ? scaled + shift[channel]", "false ? scaled", "gather"),
]
