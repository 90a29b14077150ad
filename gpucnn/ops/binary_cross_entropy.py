"""Binary cross-entropy: each class is a yes-or-no question of its own, whose answer is yes for the label alone.

Scores x (N, K), labels l (N,), t_nk = [k = l_n], s(x) = 1 / (1 + exp(-x)):

    loss = -1 / (N K) sum_nk (t log s(x) + (1 - t) log(1 - s(x)))
         = 1 / (N K) sum_nk softplus(z)       z = -x where t = 1, x where t = 0
    dx   = (s(x) - t) / (N K)                 = s(z) dz/dx / (N K)

The forms in z cancel nothing and overflow nowhere. As torch.nn.functional.binary_cross_entropy_with_logits.
"""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation
from gpucnn.ops.labels import check_labels, one_hot


def binary_cross_entropy(scores: Array, labels: Array) -> Array:
    """Return the loss of scores (N, K), float32 or float64, an array of no dimensions; labels: (N,), from 0 to K - 1.

    >>> round(float(binary_cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))), 6)
    0.693147
    """
    check_labels(scores, labels)
    return _binary_cross_entropy(scores, labels)


def binary_cross_entropy_backward(scores: Array, labels: Array) -> Array:
    """Return d loss / d scores (N, K), given what `binary_cross_entropy` was given.

    >>> binary_cross_entropy_backward(np.array([[0.0, 0.0]]), np.array([1])).tolist()
    [[0.25, -0.25]]
    """
    check_labels(scores, labels)
    return _binary_cross_entropy_backward(scores, labels)


@operation
def _binary_cross_entropy(scores: Array, labels: Array) -> Array:
    xp = array_module(scores)
    z = xp.where(one_hot(scores, labels), -scores, scores)
    with np.errstate(invalid="ignore"):  # a score that is not a number makes no loss, which the trainer reports
        loss = xp.logaddexp(z, xp.zeros_like(z)).mean(dtype=np.float64)
    found: Array = xp.asarray(loss, scores.dtype)
    return found


@operation
def _binary_cross_entropy_backward(scores: Array, labels: Array) -> Array:
    xp, hits = array_module(scores), one_hot(scores, labels)
    z = xp.where(hits, -scores, scores)
    small = xp.exp(-abs(z))
    sigmoid = xp.where(z < 0, small, 1) / (1 + small)
    gradient: Array = xp.where(hits, -sigmoid, sigmoid) / z.size
    return gradient
