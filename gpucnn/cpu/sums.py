"""Sums over all axes but the last."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import require_float32
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.rows import Rows


def sum_rows(x: Array) -> Array:
    """Return the sum of x (N, ..., C) over all axes but the last, shape (C,)."""
    require_float32(x)
    rows = Rows(contiguous(x))
    return rows.sums(lambda part, out: np.add.reduce(rows.part(rows.x, part), axis=0, out=out))
