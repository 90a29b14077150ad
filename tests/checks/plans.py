"""Choosing by which plan convolutions are computed in a test."""

from __future__ import annotations

from contextlib import AbstractContextManager

from gpucnn.cuda import plans
from gpucnn.cuda.plans import Plan, Task


def forced(family: str, **options: int) -> AbstractContextManager[None]:
    """Compute by the best plan of a family with these options while entered; as usual what it cannot compute."""

    def choose(task: Task) -> Plan | None:
        found = (plan for plan in plans.candidates(task) if plan.family == family)
        return next((plan for plan in found if set(options.items()) <= set(plan.options)), None)

    return plans.using(choose)
