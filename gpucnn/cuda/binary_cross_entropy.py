"""Binary cross-entropy by the kernels in binary_cross_entropy.cu."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.cuda.softmax import WARP
from gpucnn.cuda.sums import sum_rows


def binary_cross_entropy(scores: Array, labels: Array) -> Array:
    """Return the loss of scores (N, K), an array of no dimensions."""
    rows, columns = scores.shape
    losses: Array = array_module(scores).empty((rows, 1), scores.dtype)
    labels = labels.astype(np.int64, copy=False)
    kernel = "binary_cross_entropy_forward"
    launch(kernel, blocks(rows * WARP), x=scores, labels=labels, losses=losses, rows=rows, columns=columns)
    loss: Array = sum_rows(losses)[0]
    return loss


def binary_cross_entropy_backward(scores: Array, labels: Array) -> Array:
    """Return d loss / d scores."""
    rows, columns = scores.shape
    dx: Array = array_module(scores).empty(scores.shape, scores.dtype)
    labels = labels.astype(np.int64, copy=False)
    launch("binary_cross_entropy_backward", blocks(dx.size), x=scores, labels=labels, dx=dx, rows=rows, columns=columns)
    return dx
