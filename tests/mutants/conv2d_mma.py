"""Convolutions on tensor cores, of halves and of float32 in three products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from checks.arrays import numbers
from checks.plans import forced

from gpucnn import ops
from gpucnn.cuda import plans
from gpucnn.cuda.families import mma
from mutants.arrays import DU, FOURS, HU, TANH, F, G, U
from mutants.mutant import Mutant, Run

HM, HN, DM = (a.astype(np.float16) for a in numbers(8, (1, 9, 8, 24), (72, 3, 2, 24), (1, 9, 9, 72), dtype="float32"))

HP, HQ = (a.astype(np.float16) for a in numbers(23, (1, 31, 21, 136), (9, 1, 1, 136), dtype="float32"))


def on_tensor_cores(operation: Callable[..., Any], *given: Any, **options: Any) -> list[Any]:
    with forced("mma", m=64, n=64):
        return [operation(*given, **options)]


def several_tiles_a_block() -> list[Any]:
    """Of three, two by the first of two blocks."""
    with pytest.MonkeyPatch.context() as patch, plans.using(lambda task: plans.Plan.read("mma 256x128 persistent=1")):
        patch.setattr(mma, "multiprocessors", lambda x: 2)
        return [ops.conv2d(HP, HQ)]


RUNS: dict[str, Run] = {
    "mma, persistent": several_tiles_a_block,
    "mma": lambda: on_tensor_cores(ops.conv2d, HM, HN, padding=1),
    "mma data": lambda: on_tensor_cores(ops.conv2d_backward_data, DM, HN, HM.shape, padding=1),
    "mma data singly": lambda: on_tensor_cores(ops.conv2d_backward_data, DU.astype(np.float16), HU, F.shape, **FOURS),
    "mma weight": lambda: on_tensor_cores(ops.conv2d_backward_weight, HM, DM, HN.shape, padding=1),
    "mma ended": lambda: on_tensor_cores(
        ops.conv2d_batch_norm_eval, F, U, None, (*[G] * 3, G * G, 1e-3), TANH, DU, **FOURS
    ),
    "mma3": lambda: on_tensor_cores(ops.conv2d, F, U, **FOURS),
    "mma3 data": lambda: on_tensor_cores(ops.conv2d_backward_data, DU, U, F.shape, F, **FOURS),
    "mma3 weight": lambda: on_tensor_cores(ops.conv2d_backward_weight, F, DU, U.shape, **FOURS),
}

MUTANTS = [
    Mutant("conv2d_mma_forward", "if (sent > 0) __syncthreads();", "", "mma, persistent", "float16"),
    Mutant(
        "conv2d_mma_forward",
        "await_copies_but<Tile::STAGES - 2>",
        "await_copies_but<Tile::STAGES - 1>",
        "mma",
        "float16",
    ),
    Mutant("conv2d_mma_forward", "      __syncthreads();\n      send", "      send", "mma", "float16"),
    Mutant("conv2d_mma_forward", "from ? 16 : 0", "16", "mma", "float16"),
    Mutant("conv2d_mma_forward", "exists ? at_row : -(1 << 30)", "at_row", "mma", "float16"),
    Mutant(
        "conv2d_mma_forward",
        "    __syncwarp();\n#pragma unroll\n    for (int down",
        "    for (int down",
        "mma",
        "float16",
    ),
    Mutant("conv2d_mma_forward", "    __syncthreads();\n  }\n};", "  }\n};", "mma, persistent", "float16"),
    Mutant("conv2d_mma_backward_data", "first / 8 + (IS_A ? low : high)", "first / 8 + low", "mma data", "float16"),
    Mutant("conv2d_mma_backward_data", "+ uint32(x)) >> shift", ") >> shift", "mma data", "float16"),
    Mutant("conv2d_mma_backward_data", "whole_b(b.whole())", "whole_b(true)", "mma data singly", "float16"),
    Mutant("conv2d_mma_backward_weight", "position < end && row", "row", "mma weight", "float16"),
    Mutant("conv2d_mma3_forward", "first + n, place", "n, place", "mma ended"),
    Mutant("conv2d_mma3_forward", "m < Tile::WARP_M; m +=", "m < 16; m +=", "mma ended"),
    Mutant("conv2d_mma3_forward", ", sums[i][j][r] = 0", "", "mma3"),
    Mutant("conv2d_mma3_forward", "product = 3 - Tile::PRODUCTS", "product = 1", "mma3"),
    Mutant("conv2d_mma3_backward_data", "(met - r * taps.by) * across", "met * across", "mma3 data"),
    Mutant("conv2d_mma3_backward_data", "z + row + n, columns", "z + n, columns", "mma3 data"),
    Mutant("conv2d_mma3_backward_weight", "4 * (IS_A ? i / 2 : i % 2)", "4 * (i / 2)", "mma3 weight"),
]
