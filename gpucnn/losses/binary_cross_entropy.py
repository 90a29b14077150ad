"""Binary cross-entropy: each class is a yes-or-no question of its own."""

from __future__ import annotations

from typing import Any

from gpucnn import ops
from gpucnn.backend import Array
from gpucnn.losses.base import Loss


class BinaryCrossEntropy(Loss, name="binary_cross_entropy"):
    """Sigmoid cross-entropy against one-hot targets t, the mean over all N K elements.

        loss = -1 / (N K) sum_nk (t log s(x) + (1 - t) log(1 - s(x)))     s(x) = 1 / (1 + exp(-x))
             = 1 / (N K) sum_nk softplus(z)       z = -x where t = 1, x where t = 0
        dx   = (s(x) - t) / (N K)                 = s(z) dz/dx / (N K)

    The forms in z cancel nothing and overflow nowhere. As torch.nn.functional.binary_cross_entropy_with_logits.

    >>> import numpy as np
    >>> loss, saved = BinaryCrossEntropy().forward(np.array([[0.0, 0.0]]), np.array([1]))
    >>> round(float(loss), 6), BinaryCrossEntropy().backward(saved).tolist()
    (0.693147, [[0.25, -0.25]])
    """

    def forward(self, scores: Array, labels: Array) -> tuple[Array, Any]:
        """Return the loss; backward needs what it is given."""
        return ops.binary_cross_entropy(scores, labels), (scores, labels)

    def backward(self, saved: Any) -> Array:
        """Return (s(x) - t) / (N K)."""
        return ops.binary_cross_entropy_backward(*saved)

    def probabilities(self, scores: Array) -> Array:
        """Return softmax(x): the probability of each class, given that exactly one of the answers is yes.

        For independent answers P(k alone) is s(x_k) prod_(j != k) (1 - s(x_j)), which is proportional to exp(x_k).
        """
        return ops.softmax(scores)
