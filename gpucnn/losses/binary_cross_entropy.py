"""Binary cross-entropy: each class is a yes-or-no question of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.losses.base import Loss
from gpucnn.ops.labels import one_hot
from gpucnn.ops.softmax import softmax


class BinaryCrossEntropy(Loss, name="binary_cross_entropy"):
    """Sigmoid cross-entropy against one-hot targets t, the mean over all N K elements.

        loss = -1 / (N K) sum_nk (t log s(x) + (1 - t) log(1 - s(x)))     s(x) = 1 / (1 + exp(-x))
             = 1 / (N K) sum_nk softplus(z)       z = -x where t = 1, x where t = 0
        dx   = (s(x) - t) / (N K)                 = s(z) dz/dx / (N K)

    The forms in z cancel nothing and overflow nowhere. As torch.nn.functional.binary_cross_entropy_with_logits.

    >>> loss, saved = BinaryCrossEntropy().forward(np.array([[0.0, 0.0]]), np.array([1]))
    >>> round(float(loss), 6), BinaryCrossEntropy().backward(saved).tolist()
    (0.693147, [[0.25, -0.25]])
    """

    def forward(self, scores: Array, labels: Array) -> tuple[Array, Any]:
        """Return the loss, and (which class is each image's, z)."""
        xp = array_module(scores)
        hits = one_hot(scores, labels)
        z = xp.where(hits, -scores, scores)
        with np.errstate(invalid="ignore"):  # a score that is not a number makes no loss, which the trainer reports
            loss = xp.logaddexp(z, xp.zeros_like(z)).mean(dtype=np.float64)
        return xp.asarray(loss, scores.dtype), (hits, z)

    def backward(self, saved: Any) -> Array:
        """Return (s(x) - t) / (N K)."""
        hits, z = saved
        xp = array_module(z)
        small = xp.exp(-abs(z))
        sigmoid = xp.where(z < 0, small, 1) / (1 + small)
        gradient: Array = xp.where(hits, -sigmoid, sigmoid) / z.size
        return gradient

    def probabilities(self, scores: Array) -> Array:
        """Return softmax(x): the probability of each class, given that exactly one of the answers is yes.

        For independent answers P(k alone) is s(x_k) prod_(j != k) (1 - s(x_j)), which is proportional to exp(x_k).
        """
        return softmax(scores)
