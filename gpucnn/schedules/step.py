"""A learning rate that falls in steps."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval, MinLen

from gpucnn.arguments import PositiveSteps, Steps
from gpucnn.errors import ArgumentError
from gpucnn.schedules.base import Schedule, in_steps


class StepDecay(Schedule, name="step"):
    """factor = gamma^(drops so far).

    every: a drop each time this part of the run is over: 0.3 drops at 30, 60 and 90 % of all steps, 1000 after each
    1000 steps. milestones: or a drop at each of these places: [0.5, 0.75], or [30000, 45000]. Both count from the
    run's first step, warm-up included. gamma: what a drop multiplies by, above 0, at most 1.
    warmup: how long the factor rises at first, in steps or as a fraction of all steps.
    Raises ArgumentError unless exactly one of `every` and `milestones` is given.

    >>> [round(StepDecay(every=0.3).factor(step, 10), 3) for step in range(10)]
    [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001]
    >>> [StepDecay(milestones=[0.5, 0.75], gamma=0.5).factor(step, 8) for step in range(8)]
    [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        every: PositiveSteps | None = None,
        milestones: Annotated[list[PositiveSteps], MinLen(1)] | None = None,
        gamma: Annotated[float, Interval(gt=0, le=1)] = 0.1,
        warmup: Steps = 0,
    ) -> None:
        super().__init__(warmup)
        if (every is None) == (milestones is None):
            raise ArgumentError(
                "StepDecay: give either every (such as 0.3, a drop after each 30 % of the steps) "
                "or milestones (such as [0.5, 0.75]), not both"
            )
        self.every, self.milestones, self.gamma = every, milestones, gamma

    def after(self, step: int, warmup: int, total: int) -> float:
        """Return gamma to the number of drops at or before `step`."""
        if self.every is not None:
            every = self.every if isinstance(self.every, int) else self.every * total
            drops = int((step + 0.5) / every)  # the half: drops fall on whole steps, whatever the rounding of `every`
        else:
            drops = sum(step >= in_steps(milestone, total) for milestone in self.milestones or ())
        return self.gamma**drops
