"""One cycle: a learning rate that rises from little, then falls to less."""

from __future__ import annotations

from typing import Literal

from gpucnn.arguments import Fraction, Steps
from gpucnn.schedules.base import Schedule, progress
from gpucnn.schedules.cosine import cosine


class OneCycle(Schedule, name="one_cycle"):
    """The factor rises from `start` to 1 during the warm-up, and falls from 1 towards `floor` after it.

    warmup: how long it rises, in steps or as a fraction of all steps: 0.2 is the first 20 %.
    start: the factor of the first step. floor: what the factor falls towards; it would be reached just after the
    last step. anneal: along half a `cosine` or along a `linear` line, both up and down.
    As torch.optim.lr_scheduler.OneCycleLR, with div_factor = 1 / start, pct_start = warmup.
    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates",
    2018.

    >>> schedule = OneCycle(warmup=0.4, start=0.1, anneal="linear")
    >>> [round(schedule.factor(step, 5), 3) for step in range(5)]
    [0.1, 0.55, 1.0, 0.667, 0.333]
    """

    def __init__(
        self,
        warmup: Steps = 0.3,
        start: Fraction = 0.04,
        floor: Fraction = 0.0,
        anneal: Literal["cosine", "linear"] = "cosine",
    ) -> None:
        super().__init__(warmup)
        self.start, self.floor, self.anneal = start, floor, anneal

    def rising(self, step: int, warmup: int) -> float:
        """Return the factor on the way up: `start` at the first step, 1 just after the last."""
        return self._between(self.start, 1.0, step / warmup)

    def after(self, step: int, warmup: int, total: int) -> float:
        """Return the factor on the way down: 1 at the first step, the floor just after the last."""
        return self._between(1.0, self.floor, progress(step, warmup, total))

    def _between(self, start: float, end: float, done: float) -> float:
        return cosine(start, end, done) if self.anneal == "cosine" else start + (end - start) * done
