"""Softmax cross-entropy of scores against labels, with label smoothing and class weights.

Scores x (N, K), labels l (N,), smoothing e, class weights v (K,), all 1 where none are given:

    t_nk = v_k ((1 - e) [k = l_n] + e / K)        total = sum_n v_(l_n)
    loss = -sum_nk t_nk log softmax(x_n)_k / total
    dx_nk = (softmax(x_n)_k sum_j t_nj - t_nk) / total

Source: C. Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016, section 7.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import composition, operation
from gpucnn.ops.labels import check_labels, one_hot
from gpucnn.ops.softmax import log_softmax, log_softmax_backward


class Saved(NamedTuple):
    """What the backward pass needs: log softmax(x) (N, K), and the total of the images' weights, (1,)."""

    logs: Array
    total: Array


def cross_entropy(
    scores: Array, labels: Array, weights: Array | None = None, *, label_smoothing: float = 0.0
) -> tuple[Array, Saved]:
    """Return the loss, an array of no dimensions, and what `cross_entropy_backward` needs.

    scores: (N, K), float32 or float64. labels: (N,), integers from 0 to K - 1. weights: (K,), in the scores' dtype.

    >>> loss, saved = cross_entropy(np.array([[0.0, np.log(3.0)]]), np.array([1]))
    >>> round(float(loss), 6), round(np.log(4 / 3), 6).item()
    (0.287682, 0.287682)
    """
    check_labels(scores, labels)
    loss, saved = _cross_entropy(scores, labels, weights, label_smoothing)
    return loss, Saved(*saved)


@operation
def _cross_entropy(
    scores: Array, labels: Array, weights: Array | None, smoothing: float
) -> tuple[Array, tuple[Array, Array]]:
    xp, logs = array_module(scores), log_softmax(scores)
    targets, total = _targets(logs, labels, weights, smoothing)
    with np.errstate(invalid="ignore"):  # 0 times an infinite score is NaN, which the trainer reports
        loss = -(targets * logs).sum(dtype=np.float64) / total[0]
    return xp.asarray(loss, scores.dtype), (logs, total)


def cross_entropy_backward(
    labels: Array, saved: Saved, weights: Array | None = None, *, label_smoothing: float = 0.0
) -> Array:
    """Return d loss / d scores (N, K), given what `cross_entropy` was given and what it saved.

    >>> labels = np.array([1])
    >>> _, saved = cross_entropy(np.array([[0.0, np.log(3.0)]]), labels)
    >>> cross_entropy_backward(labels, saved).round(6).tolist()
    [[0.25, -0.25]]
    """
    return _cross_entropy_backward(labels, saved, weights, label_smoothing)


@operation
def _cross_entropy_backward(labels: Array, saved: Saved, weights: Array | None, smoothing: float) -> Array:
    targets, total = _targets(saved.logs, labels, weights, smoothing)
    targets /= -total
    return log_softmax_backward(targets, saved.logs)


def cross_entropy_gradient(scores: Array, labels: Array, *, label_smoothing: float = 0.0) -> tuple[Array, Array]:
    """Return the loss and d loss / d scores, without class weights.

    >>> loss, dx = cross_entropy_gradient(np.array([[0.0, np.log(3.0)]]), np.array([1]))
    >>> round(float(loss), 6), dx.round(6).tolist()
    (0.287682, [[0.25, -0.25]])
    """
    check_labels(scores, labels)
    return _cross_entropy_gradient(scores, labels, label_smoothing)


@composition
def _cross_entropy_gradient(scores: Array, labels: Array, smoothing: float) -> tuple[Array, Array]:
    loss, saved = cross_entropy(scores, labels, label_smoothing=smoothing)
    return loss, cross_entropy_backward(labels, saved, label_smoothing=smoothing)


def _targets(like: Array, labels: Array, weights: Array | None, smoothing: float) -> tuple[Array, Array]:
    """Return t (N, K) and the total of the images' weights, (1,), in the dtype of `like`."""
    xp, hits = array_module(like), one_hot(like, labels)
    targets: Array = ((1 - smoothing) * hits + smoothing / hits.shape[1]).astype(like.dtype)
    if weights is None:
        return targets, xp.full(1, len(hits), like.dtype)
    targets *= weights
    return targets, (hits * weights).sum(keepdims=True)[0].astype(like.dtype)
