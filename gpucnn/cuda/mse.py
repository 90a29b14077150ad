"""Squared error by the kernels in mse.cu."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.cuda.softmax import WARP
from gpucnn.cuda.sums import sum_rows


def mse(scores: Array, labels: Array, low: float, high: float, slope: float) -> Array:
    """Return the loss of scores (N, K), an array of no dimensions."""
    rows, columns = scores.shape
    losses: Array = array_module(scores).empty((rows, 1), scores.dtype)
    launch(
        "mse_forward", blocks(rows * WARP), x=scores, labels=labels.astype(np.int64, copy=False), losses=losses,
        rows=rows, columns=columns, low=low, high=high, slope=slope,
    )  # fmt: skip
    loss: Array = sum_rows(losses)[0]
    return loss


def mse_backward(scores: Array, labels: Array, low: float, high: float, slope: float) -> Array:
    """Return d loss / d scores."""
    rows, columns = scores.shape
    dx: Array = array_module(scores).empty(scores.shape, scores.dtype)
    launch(
        "mse_backward", blocks(dx.size), x=scores, labels=labels.astype(np.int64, copy=False), dx=dx,
        rows=rows, columns=columns, low=low, high=high, slope=slope,
    )  # fmt: skip
    return dx
