"""What a schedule is: the factor on the learning rate at each step, warm-up included."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gpucnn.registry import Registered


class Schedule(Registered, ABC, kind="schedule", package="gpucnn.schedules"):
    """Base of all schedules: a factor from 0 to 1 for every step, a function of (step, total) alone.

    The first `warmup` steps rise to the factor from which the schedule proper goes on. Parts of a run are given as
    whole numbers, in steps, or as fractions of all steps: `warmup: 500` or `warmup: 0.1`.
    """

    def __init__(self, warmup: float) -> None:
        self.warmup = warmup

    def factor(self, step: int, total: int) -> float:
        """Return the factor on the learning rate at `step` (from 0) of `total`."""
        warmup = min(total, in_steps(self.warmup, total))
        if step < warmup:
            return self.rising(step, warmup) * self.after(warmup, warmup, total)
        return self.after(step, warmup, total)

    def rising(self, step: int, warmup: int) -> float:
        """Return the share of the full factor at `step` of a warm-up: 1 / (warmup + 1), 2 / (warmup + 1), ..."""
        return (step + 1) / (warmup + 1)

    @abstractmethod
    def after(self, step: int, warmup: int, total: int) -> float:
        """Return the factor at `step`, from `warmup` on, when the warm-up is over."""


def in_steps(part: float, total: int) -> int:
    """Return a part of a run in steps: a whole number as it is, a fraction times `total`, rounded.

    >>> in_steps(5, 100), in_steps(0.05, 100)
    (5, 5)
    """
    return part if isinstance(part, int) else round(part * total)


def progress(step: int, warmup: int, total: int) -> float:
    """Return how much of the steps after the warm-up is done before `step`: from 0 to below 1.

    >>> [progress(step, warmup=2, total=6) for step in (2, 3, 4, 5)]
    [0.0, 0.25, 0.5, 0.75]
    """
    return min(1.0, (step - warmup) / max(1, total - warmup))
