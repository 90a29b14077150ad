"""A learning rate that falls along half a cosine."""

from __future__ import annotations

import math

from gpucnn.arguments import Fraction, Steps
from gpucnn.schedules.base import Schedule, progress


class Cosine(Schedule, name="cosine"):
    """factor = floor + (1 - floor) (1 + cos(pi p)) / 2, with p = progress after the warm-up, from 0 to below 1.

    floor: what the factor falls towards; p would be 1 just after the last step, so that no step is wasted on 0.
    warmup: how long the factor rises at first, in steps or as a fraction of all steps.
    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, eq. 5.

    >>> [round(Cosine().factor(step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    >>> [round(Cosine(floor=0.1, warmup=0.5).factor(step, 4), 3) for step in range(4)]
    [0.333, 0.667, 1.0, 0.55]
    """

    def __init__(self, floor: Fraction = 0.0, warmup: Steps = 0) -> None:
        super().__init__(warmup)
        self.floor = floor

    def after(self, step: int, warmup: int, total: int) -> float:
        """Return the cosine between 1 and the floor."""
        return cosine(1.0, self.floor, progress(step, warmup, total))


def cosine(start: float, end: float, done: float) -> float:
    """Return the value at `done` (0 to 1) of the half cosine from `start` to `end`.

    >>> cosine(1.0, 0.0, 0.5)
    0.5
    """
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
