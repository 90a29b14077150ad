"""Mean squared error: scores against one-hot targets between two levels."""

from __future__ import annotations

from typing import Any

from gpucnn import ops
from gpucnn.backend import Array, array_module
from gpucnn.errors import ArgumentError
from gpucnn.losses.base import Loss
from gpucnn.ops.mse import Reduction


class MSE(Loss, name="mse"):
    """Squared error against targets t that are `high` for the label's class and `low` for the others.

        mean:      loss = 1 / (N K) sum_nk (x_nk - t_nk)^2     dx_nk = 2 (x_nk - t_nk) / (N K)
        half_sum:  loss = 1 / N sum_n 1/2 sum_k (x_nk - t_nk)^2     dx_nk = (x_nk - t_nk) / N

    reduction: `mean` is torch.nn.functional.mse_loss; `half_sum` is the error of the backpropagation literature
    (Rumelhart et al., "Learning representations by back-propagating errors", Nature 1986, eq. 3), whose gradient
    for one image is the plain difference.
    low, high: the targets' levels. A network that ends in tanh or scaled_tanh trains best with levels inside the
    activation's range, such as -0.8 and 0.8, where its slope is not near 0 (LeCun et al., "Efficient BackProp",
    1998, section 4.5).

    >>> import numpy as np
    >>> loss, saved = MSE("half_sum").forward(np.array([[0.0, 3.0]]), np.array([0]))
    >>> float(loss), MSE("half_sum").backward(saved).tolist()
    (5.0, [[-1.0, 3.0]])
    """

    def __init__(self, reduction: Reduction = "mean", low: float = 0.0, high: float = 1.0) -> None:
        if low >= high:
            raise ArgumentError(f"MSE: low (={low}) must be below high (={high})")
        self.low, self.high = low, high
        self._options: dict[str, Any] = {"low": low, "high": high, "reduction": reduction}

    def forward(self, scores: Array, labels: Array) -> tuple[Array, Any]:
        """Return the loss; backward needs what it is given."""
        return ops.mse(scores, labels, **self._options), (scores, labels)

    def backward(self, saved: Any) -> Array:
        """Return the differences x - t times 2 / (N K) or 1 / N."""
        return ops.mse_backward(*saved, **self._options)

    def probabilities(self, scores: Array) -> Array:
        """Return the scores mapped linearly from [low, high] to [0, 1], clipped, and divided by their sum.

        A row whose scores are all at or below `low` says nothing about the classes: it becomes 1 / K each.

        >>> import numpy as np
        >>> MSE(low=-0.8, high=0.8).probabilities(np.array([[0.8, 0.0, -0.9], [-1.0, -1.0, -2.0]])).round(3).tolist()
        [[0.667, 0.333, 0.0], [0.333, 0.333, 0.333]]
        """
        xp = array_module(scores)
        claims = xp.clip((xp.clip(scores, self.low, self.high) - self.low) / (self.high - self.low), 0, 1)
        total = claims.sum(axis=-1, keepdims=True)
        shares: Array = xp.where(total > 0, claims, 1.0) / xp.where(total > 0, total, scores.shape[-1])
        return shares.astype(scores.dtype)
