"""Moments that convolutions take of what they write, for the batch normalisation after them."""

from __future__ import annotations

from typing import Any

import numpy as np
from checks.arrays import numbers

from gpucnn import ops
from gpucnn.cuda import plans
from gpucnn.cuda.plans import Plan
from mutants.mutant import Mutant, Run

X, W, B = numbers(21, (1, 9, 8, 16), (40, 3, 2, 8), (40,), dtype="float32")
X16, W16 = (array.astype(np.float16) for array in (X, W))


def by(text: str, x: Any, w: Any, b: Any = B, **options: Any) -> Run:
    """Return what normalises a convolution by a plan."""

    def run() -> list[Any]:
        with plans.using(lambda task: Plan.read(text)):
            return list(ops.conv2d_batch_norm_train(x, w, None, (b, b, 1e-3), padding=1, **options)[:3])

    return run


RUNS: dict[str, Run] = {
    "moments by tiles": by("tiled 64x64", X, W, groups=2),
    "moments by mma": by("mma 64x64", X16, W16, groups=2),
    "moments by bands": by("band pixels=4 rows=3 columns=3", X[..., :8], W[:20], B[:20]),
}
"""Tiles are not full."""

MUTANTS = [
    Mutant("conv2d_tiled", "    __syncthreads();\n#pragma", "#pragma", "moments by tiles"),
    Mutant("conv2d_tiled", "    __syncthreads();\n    const int n", "    const int n", "moments by tiles"),
    Mutant("conv2d_tiled", "min(columns, WIDTH)", "WIDTH", "moments by tiles"),
    Mutant("conv2d_tiled", "m0 / Square::SIZE * g.K + first", "first", "moments by tiles"),
    Mutant("conv2d_mma_forward", "apart < WARP;", "apart < WARP / 2;", "moments by mma", "float16"),
    Mutant("conv2d_mma_forward", "i < WARPS;", "i < WARPS - 1;", "moments by mma", "float16"),
    Mutant("conv2d_band", "    __syncthreads();\n    found = merged", "    found = merged", "moments by bands"),
    Mutant("conv2d_band", "if (n + i < outputs) parts", "parts", "moments by bands"),
]
