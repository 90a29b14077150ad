"""All gradients of a dense layer at once."""

from __future__ import annotations

from typing import Any

import pytest
from checks.arrays import numbers

from gpucnn import ops
from gpucnn.cuda import dense_gradients
from mutants.arrays import TANH
from mutants.mutant import Mutant, Run

DX, DY, DW, DV = numbers(26, (70, 33), (70, 10), (10, 33), (70, 10), dtype="float32")


def gradients() -> list[Any]:
    """Of one part of three tiles, the last one short; and of three parts."""
    found: list[Any] = []
    for blocks in (2, 128):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dense_gradients, "is_faster", lambda data: True)
            patch.setattr(dense_gradients, "BLOCKS", blocks)
            found += ops.dense_gradients(DX, DY, DW, True, TANH, (DV, DV)) or apart()
    return found


def apart() -> list[Any]:
    g = TANH.backward(DY, (DV, DV))
    return [ops.dense_backward_data(g, DW), ops.dense_backward_weight(DX, g), ops.dense_backward_bias(g)]


RUNS: dict[str, Run] = {"dense gradients": gradients}

MUTANTS = [
    Mutant("dense_backward", old, new, "dense gradients")
    for old, new in (
        ("const bool exists = i < images && k < K;", "const bool exists = k < K;"),
        ("k < K && c < C ? Acc(w", "c < C ? Acc(w"),
        ("i < images && c < C ? Acc(x", "i < images ? Acc(x"),
        ("if (i < images && c < C) dx", "if (c < C) dx"),
        ("min(IMAGES, part.end - tile)", "IMAGES"),
        ("__syncthreads();\n\n    Acc found", "Acc found"),
        ("__syncthreads();\n  }\n\n#pragma", "}\n\n#pragma"),
        ("(blockIdx.y * K + k) * C + c", "k * C + c"),
        ("biases[blockIdx.y * K", "biases["),
        ("blockIdx.x == 0 && threadIdx.x < K", "threadIdx.x < K"),
        ("(K + 3) / 4 * 4", "K / 4 * 4"),
        ("if (k >= K) break;", ""),
        ("p = 1, r = -1", "p = 1, r = 1"),
        ("kinked && y > 0", "y > 0"),
        ("sums[j][l] += g.of[l] * met", "sums[j][l] += g.of[0] * met"),
    )
]
