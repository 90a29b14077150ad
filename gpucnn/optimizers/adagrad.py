"""Adagrad: each weight's step is scaled by the size of all its gradients so far."""

from __future__ import annotations

from gpucnn import ops
from gpucnn.arguments import NonNegativeFloat, PositiveFloat
from gpucnn.backend import Array
from gpucnn.optimizers.base import Optimizer, Weights
from gpucnn.rates import plain_numbers


class Adagrad(Optimizer, name="adagrad"):
    """Adagrad, as torch.optim.Adagrad without lr_decay, and as tiny-dnn's, whose eps is 1e-8.

    With weights w, gradient g, weight decay c and a sum of squares s that starts at 0:

        g = g + c w
        s = s + g^2
        w = w - lr g / (sqrt(s) + eps)

    eps stands outside of the root. The first step is lr for every weight, whatever its gradient.
    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization",
    JMLR 2011, figure 1 with diagonal matrices.

    >>> import numpy as np
    >>> from gpucnn.layers.base import Parameter
    >>> params = {"w": Parameter(np.array([1.0, 1.0]), grad=np.array([0.5, -50.0]))}
    >>> optimizer = Adagrad()
    >>> optimizer.build(params)
    >>> for step in range(2):
    ...     optimizer.update(params, lr=0.1, step=step)
    ...     print(params["w"].value.round(6).tolist())
    [0.9, 1.1]
    [0.829289, 1.170711]
    """

    slots = ("square",)

    def __init__(
        self,
        lr: PositiveFloat = 0.01,
        eps: PositiveFloat = 1e-10,
        weight_decay: NonNegativeFloat = 0.0,
        decay_all: bool = False,
        norm_bias_lr: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(lr, weight_decay, decay_all, norm_bias_lr)
        self.eps = eps

    def update_all(self, weights: Weights, lr: float, step: int, **told: Array | None) -> None:
        """Update the weights and their sums of squares."""
        values, grads, slots, decayed, copies = weights
        ops.adagrad_update(
            values, grads, slots["square"], decayed, lr=lr, eps=self.eps, decay=self.weight_decay, copies=copies, **told
        )

    def numbers(self, lr: float, step: int) -> tuple[float, ...]:
        """Return lr."""
        return plain_numbers(lr)
