"""The same learning rate throughout, once warmed up."""

from __future__ import annotations

from gpucnn.arguments import Steps
from gpucnn.schedules.base import Schedule


class Constant(Schedule, name="constant"):
    """factor = 1.

    warmup: how long the factor rises, in steps or as a fraction of all steps.

    >>> [round(Constant(warmup=3).factor(step, 6), 2) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """

    def __init__(self, warmup: Steps = 0) -> None:
        super().__init__(warmup)

    def after(self, step: int, warmup: int, total: int) -> float:
        """Return 1."""
        return 1.0
