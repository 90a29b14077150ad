"""Moments that convolutions take of what they write, for the batch normalisation after them."""

from __future__ import annotations

from typing import Any

import numpy as np
from checks.arrays import numbers
from checks.plans import forced

from gpucnn import ops
from mutants.mutant import Mutant, Run

X, W, B = numbers(21, (1, 9, 8, 16), (40, 3, 2, 8), (40,), dtype="float32")
X16, W16 = (array.astype(np.float16) for array in (X, W))


def by(family: str, x: Any, w: Any, **options: int) -> Run:
    """Return what normalises a convolution of two groups, whose tiles are not full."""

    def run() -> list[Any]:
        with forced(family, **options):
            return list(ops.conv2d_batch_norm_train(x, w, None, (B, B, 1e-3), padding=1, groups=2)[:3])

    return run


RUNS: dict[str, Run] = {
    "moments by tiles": by("tiled", X, W, m=64),
    "moments by mma": by("mma", X16, W16, m=64),
}

MUTANTS = [
    Mutant("conv2d_tiled", "    __syncthreads();\n#pragma", "#pragma", "moments by tiles"),
    Mutant("conv2d_tiled", "    __syncthreads();\n    const int n", "    const int n", "moments by tiles"),
    Mutant("conv2d_tiled", "columns(min(columns, WIDTH))", "columns(WIDTH)", "moments by tiles"),
    Mutant("conv2d_tiled", "moments(parts, blockIdx.x * g.K + first", "moments(parts, first", "moments by tiles"),
    Mutant("conv2d_mma_forward", "apart < WARP;", "apart < WARP / 2;", "moments by mma", "float16"),
    Mutant("conv2d_mma_forward", "i < WARPS;", "i < WARPS - 1;", "moments by mma", "float16"),
]
