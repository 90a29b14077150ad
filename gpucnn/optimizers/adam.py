"""Adam: each weight's step is scaled by the running size of its gradient."""

from __future__ import annotations

from typing import ClassVar

from gpucnn import ops
from gpucnn.arguments import Fraction, NonNegativeFloat, PositiveFloat
from gpucnn.backend import Array
from gpucnn.optimizers.base import Optimizer, Weights
from gpucnn.rates import adam_numbers


class Adam(Optimizer, name="adam"):
    """Adam with weight decay as L2 regularisation, as torch.optim.Adam.

    With weights w, gradient g, weight decay c, steps t from 1, and moments m and v that start at 0:

        g = g + c w
        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        w = w - lr m' / (sqrt(v') + eps)      m' = m / (1 - beta1^t)      v' = v / (1 - beta2^t)

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.

    >>> import numpy as np
    >>> from gpucnn.layers.base import Parameter
    >>> params = {"w": Parameter(np.array([1.0, 1.0]), grad=np.array([0.5, -50.0]))}
    >>> optimizer = Adam()
    >>> optimizer.build(params)
    >>> optimizer.update(params, lr=0.1, step=0)
    >>> params["w"].value.round(6).tolist()
    [0.9, 1.1]
    """

    slots = ("mean", "square")
    decoupled: ClassVar[bool] = False
    """Whether weight decay stands beside the gradient, not in it."""

    def __init__(
        self,
        lr: PositiveFloat = 1e-3,
        beta1: Fraction = 0.9,
        beta2: Fraction = 0.999,
        eps: PositiveFloat = 1e-8,
        weight_decay: NonNegativeFloat = 0.0,
        decay_all: bool = False,
        norm_bias_lr: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(lr, weight_decay, decay_all, norm_bias_lr)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def update_all(self, weights: Weights, lr: float, step: int, **told: Array | None) -> None:
        """Update the weights and their moments."""
        values, grads, slots, decayed, copies = weights
        ops.adam_update(
            values, grads, slots["mean"], slots["square"], decayed, lr=lr, step=step, beta1=self.beta1,
            beta2=self.beta2, eps=self.eps, decay=self.weight_decay, decoupled=self.decoupled, copies=copies, **told,
        )  # fmt: skip

    def numbers(self, lr: float, step: int) -> tuple[float, ...]:
        """Return lr / (1 - beta1^t), sqrt(1 - beta2^t) and what AdamW multiplies weights by."""
        return adam_numbers(lr, step, self.beta1, self.beta2, self.weight_decay, self.decoupled)
