"""AdamW: Adam whose weight decay stands beside the gradient, not in it."""

from __future__ import annotations

from gpucnn.arguments import Fraction, NonNegativeFloat, PositiveFloat
from gpucnn.optimizers.adam import Adam


class AdamW(Adam, name="adamw"):
    """Adam with decoupled weight decay, as torch.optim.AdamW.

        w = (1 - lr c) w      then a step of Adam without decay

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.

    >>> import numpy as np
    >>> from gpucnn.layers.base import Parameter
    >>> params = {"w": Parameter(np.array([1.0]), grad=np.array([0.5]))}
    >>> optimizer = AdamW(weight_decay=0.5)
    >>> optimizer.build(params)
    >>> optimizer.update(params, lr=0.1, step=0)
    >>> params["w"].value.round(6).tolist()
    [0.85]
    """

    decoupled = True

    def __init__(
        self,
        lr: PositiveFloat = 1e-3,
        beta1: Fraction = 0.9,
        beta2: Fraction = 0.999,
        eps: PositiveFloat = 1e-8,
        weight_decay: NonNegativeFloat = 0.01,
        decay_all: bool = False,
        norm_bias_lr: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(lr, beta1, beta2, eps, weight_decay, decay_all, norm_bias_lr)
