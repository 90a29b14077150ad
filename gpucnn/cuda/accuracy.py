"""Images that are classified right, counted by the kernel in accuracy.cu: a warp a row."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.cuda.softmax import WARP


def count_correct(scores: Array, labels: Array) -> Array:
    """Return how many rows of scores (N, K) are largest at their label: int32, shape (1,), left on the device."""
    total: Array = array_module(scores).zeros(1, np.int32)
    rows, columns = scores.shape
    labels = labels.astype(np.int64, copy=False)
    launch("count_correct", blocks(rows * WARP), scores=scores, labels=labels, total=total, rows=rows, columns=columns)
    return total
