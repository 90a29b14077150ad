"""Depthwise convolutions, by threads that slide down columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from checks.arrays import numbers

from gpucnn import ops
from mutants.arrays import TANH
from mutants.mutant import Mutant, Run, by

SLID: dict[str, Any] = {"stride": 2, "padding": ((1, 2), (1, 0)), "groups": 2}
SX, SW = numbers(13, (2, 37, 20, 2), (2, 3, 3, 1), dtype="float32")
SY = numbers(14, ops.conv2d_output_shape(SX.shape, SW.shape, **SLID), dtype="float32")[0]
SN = (*numbers(19, (2,), (2,), (2,), dtype="float32"), np.ones(2, np.float32), 1e-3)

RUNS: dict[str, Run] = {
    "sliding": by("sliding height=10", ops.conv2d, SX, SW, **SLID),
    "sliding data": by("sliding height=10", ops.conv2d_backward_data, SY, SW, SX.shape, SX, **SLID),
    "sliding weight": by("sliding height=4 pieces=2", ops.conv2d_backward_weight, SX, SY, SW.shape, **SLID),
    "sliding ended": by("sliding height=10", ops.conv2d_batch_norm_eval, SX, SW, None, SN, TANH, SY, **SLID),
}

MUTANTS = [
    Mutant("conv2d_depthwise_sliding", "if (q < g.Q && k < g.K) y", "y", "sliding ended"),
    Mutant("conv2d_depthwise_sliding", "if (own.n >= g.N) return;", "", "sliding"),
    Mutant("conv2d_depthwise_sliding", "done >= own.begin && column", "column", "sliding"),
    Mutant("conv2d_depthwise_sliding", "sums[0][q][v] = 0;", "", "sliding"),
    Mutant("conv2d_depthwise_sliding", "p < low + own.end && h >= 0", "h >= 0", "sliding data"),
    Mutant("conv2d_depthwise_sliding", "(i - s + AHEAD) % STRIDE == 0", "true", "sliding data"),
    Mutant("conv2d_depthwise_sliding", "others.read(z, pixel, exists)", "others.read(z, 0, exists)", "sliding data"),
    Mutant("conv2d_depthwise_sliding", "p < own.end && column", "column", "sliding weight"),
    Mutant("conv2d_depthwise_sliding", "      __syncthreads();\n      if (lane", "      if (lane", "sliding weight"),
    Mutant("conv2d_depthwise_sliding", "      __syncthreads();\n    }\n}", "    }\n}", "sliding weight"),
    Mutant("conv2d_depthwise_sliding", "(blockIdx.y * g.K + channel + v)", "(channel + v)", "sliding weight"),
]
