"""Probes of the shared headers: roundings, copies, fragments."""

from __future__ import annotations

from typing import Any

import numpy as np
from checks.probe import TOGETHER, copied, some_floats, wrong_roundings

from mutants.mutant import Mutant, Run, on_kernels


def probe() -> list[Any]:
    if not on_kernels():
        x = np.arange(3 * 256 * 4, dtype=np.uint32).reshape(3, 256, 4)
        return [np.zeros(4, np.int32), np.stack([x] * 3)]
    return [wrong_roundings(np, some_floats()), copied(np)[1]]


def probe_together() -> list[Any]:
    if not on_kernels():
        return [np.zeros(1)] * len(TOGETHER)
    return [np.float64(found != expected).max(keepdims=True) for found, expected in (run(np) for run in TOGETHER)]


RUNS: dict[str, Run] = {
    "probe": probe,
    "probe together": probe_together,
}

MUTANTS = [
    Mutant("probe", "return plain_float_to_float16(x);", "return plain_float_to_float16(x) + 1;", "probe"),
    Mutant("probe", "return plain_float_to_bfloat16(x);", "return __float_as_uint(x) >> 16;", "probe"),
    Mutant("probe", "await_copies();\n  __syncthreads();", "__syncthreads();", "probe"),
    Mutant("probe_mma", "await_copies_but<2>();", "await_copies_but<3>();", "probe together"),
]
