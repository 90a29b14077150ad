"""Softmax cross-entropy by the kernels in cross_entropy.cu: a warp a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.cuda.softmax import WARP
from gpucnn.cuda.sums import new_parts, sum_rows


def cross_entropy(
    scores: Array, labels: Array, weights: Array | None, smoothing: float
) -> tuple[Array, tuple[Array, Array]]:
    """Return the loss of scores (N, K), an array of no dimensions, and (logarithms, total of the weights) for backward.

    A label that is no class has no target.
    """
    xp, rows = array_module(scores), len(scores)
    made: dict[str, Any] = {"logs": xp.empty(scores.shape, scores.dtype)}
    made |= {name: xp.empty((rows, 1), scores.dtype) for name in ("losses", "shares")}
    given = _given(labels, weights, smoothing, scores.shape)
    launch("cross_entropy_forward", blocks(rows * WARP), x=scores, **given, **made)
    total = sum_rows(made["shares"])
    return (sum_rows(made["losses"]) / total)[0], (made["logs"], total)


def cross_entropy_backward(labels: Array, saved: tuple[Array, Array], weights: Array | None, smoothing: float) -> Array:
    """Return d loss / d scores, given what `cross_entropy` was given and what it saved."""
    logs, total = saved
    dx: Array = array_module(logs).empty(logs.shape, logs.dtype)
    given = _given(labels, weights, smoothing, logs.shape)
    launch("cross_entropy_backward", blocks(len(logs) * WARP), logs=logs, total=total, dx=dx, **given)
    return dx


def cross_entropy_gradient(scores: Array, labels: Array, smoothing: float) -> tuple[Array, Array]:
    """Return the loss of scores (N, K), an array of no dimensions, and its gradient, by two launches."""
    xp, rows = array_module(scores), len(scores)
    dx, loss = xp.empty(scores.shape, scores.dtype), xp.empty(1, scores.dtype)
    losses = new_parts(scores, rows, 1)
    given = _given(labels, None, smoothing, scores.shape)
    del given["weights"]
    launch("cross_entropy_both", blocks(rows * WARP), x=scores, dx=dx, losses=losses, **given)
    launch("cross_entropy_mean", (1,), losses=losses, loss=loss, rows=rows)
    return loss[0], dx


def _given(labels: Array, weights: Array | None, smoothing: float, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments that both kernels take."""
    labels = labels.astype(np.int64, copy=False)
    return {"labels": labels, "weights": weights, "smoothing": smoothing, "rows": shape[0], "columns": shape[1]}
