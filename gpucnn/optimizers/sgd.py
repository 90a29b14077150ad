"""Stochastic gradient descent, with momentum and Nesterov's momentum."""

from __future__ import annotations

from gpucnn import ops
from gpucnn.arguments import Fraction, NonNegativeFloat, PositiveFloat
from gpucnn.backend import Array
from gpucnn.errors import ArgumentError
from gpucnn.optimizers.base import Optimizer, Weights
from gpucnn.rates import plain_numbers


class SGD(Optimizer, name="sgd"):
    """Stochastic gradient descent, as torch.optim.SGD.

    With weights w, gradient g, weight decay c, momentum m and a velocity v that starts at 0:

        g = g + c w
        v = m v + g
        w = w - lr v              or, with Nesterov's momentum,   w = w - lr (g + m v)

    Sources: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Sutskever et al.,
    "On the importance of initialization and momentum in deep learning", ICML 2013.
    Raises ArgumentError for Nesterov's momentum without momentum.

    >>> import numpy as np
    >>> from gpucnn.layers.base import Parameter
    >>> params = {"w": Parameter(np.array([1.0]), grad=np.array([0.5]))}
    >>> optimizer = SGD(momentum=0.5)
    >>> optimizer.build(params)
    >>> for step in range(2):
    ...     optimizer.update(params, lr=0.1, step=step)
    ...     print(round(params["w"].value.item(), 6))
    0.95
    0.875
    """

    def __init__(
        self,
        lr: PositiveFloat = 0.01,
        momentum: Fraction = 0.0,
        nesterov: bool = False,
        weight_decay: NonNegativeFloat = 0.0,
        decay_all: bool = False,
        norm_bias_lr: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(lr, weight_decay, decay_all, norm_bias_lr)
        if nesterov and not momentum:
            raise ArgumentError("SGD: nesterov (=True) needs momentum above 0: set momentum, 0.9 say, or drop nesterov")
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = ("velocity",) if momentum else ()

    def update_all(self, weights: Weights, lr: float, step: int, **told: Array | None) -> None:
        """Update the weights and their velocities."""
        values, grads, slots, decayed, copies = weights
        ops.sgd_update(
            values, grads, slots.get("velocity"), decayed, lr=lr, momentum=self.momentum, decay=self.weight_decay,
            nesterov=self.nesterov, copies=copies, **told,
        )  # fmt: skip

    def numbers(self, lr: float, step: int) -> tuple[float, ...]:
        """Return lr."""
        return plain_numbers(lr)
