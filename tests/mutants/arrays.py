"""Arrays that several groups compute with."""

from __future__ import annotations

from typing import Any

import numpy as np
from checks.arrays import numbers

from gpucnn import ops
from gpucnn.ops.activation import Function

X, W, B = numbers(1, (2, 12, 13, 4), (6, 3, 3, 2), (6,), dtype="float32")
FOURS: dict[str, Any] = {"stride": 2, "padding": ((2, 1), (1, 0)), "groups": 2}
F, U = numbers(6, (2, 9, 12, 40), (72, 3, 2, 20), dtype="float32")
HF, HU = (array.astype(np.float16) for array in (F, U))
DU = numbers(7, ops.conv2d_output_shape(F.shape, U.shape, **FOURS), dtype="float32")[0]
G = U[:, 0, 0, 0]
CX, CW, CY = numbers(13, (1, 7, 6, 3), (5, 3, 2, 3), (1, 5, 5, 5), dtype="float32")
CN = (*numbers(19, (5,), (5,), (5,), dtype="float32"), np.ones(5, np.float32), 1e-3)
GZ, *GW = numbers(20, (1, 7, 6, 5), (1, 4, 3, 20), (20, 1, 1, 5), dtype="float32")
GAPS = (*GW, GZ.shape, GZ)  # of a window that leaves gaps: dy, w and what is added to dx
SCORES, LABELS = numbers(5, (9, 37), dtype="float32")[0], np.arange(9)
TANH, LEAKY = Function("tanh", reads="y"), Function("leaky_relu", (("slope", 0.3),), "x")
