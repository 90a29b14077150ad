"""The plans of a run: once a task is computed by a plan, it is computed by this one to the run's end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from gpucnn.backend import Device
from gpucnn.cuda import plans
from gpucnn.cuda.machine import nominal
from gpucnn.cuda.plans import Plan, Task
from gpucnn.tuning.cache import Cache, Table, identity


class RunnerUp(NamedTuple):
    """The plan that is best beside the chosen one: in how many times its time, measured or by estimates."""

    plan: str
    ratio: float
    measured: bool

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.plan}, {self.ratio:.2f}x{'' if self.measured else ' by estimate'}"


class Choices:
    """A function that chooses plans, for `gpucnn.cuda.plans.using`, and remembers them.

    A task's plan is that of `kept`, the plans of a checkpoint; else the fastest of those that were measured; else that
    with the best estimate. used: the plan of every task that was computed, and all that was kept: texts, by text.
    measured: None where nothing measured is to be used. tell: hears of plans that are not known here.
    """

    def __init__(
        self,
        kept: Mapping[str, str] | None = None,
        measured: Callable[[], Table] | None = None,
        tell: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.used = dict(kept or {})
        self._measured, self._tell = measured, tell
        self._table: Table | None = None
        self._known: dict[Task, Plan] = {}

    def __call__(self, task: Task) -> Plan:
        """Return the plan for a task."""
        if task not in self._known:
            plan = self._known[task] = self._chosen(task)
            self.used[str(task)] = str(plan)
        return self._known[task]

    def runner_up(self, task: Task) -> RunnerUp | None:
        """Return the plan that is best beside the chosen one; None where there is no other."""
        plan = str(self(task))
        row = self._tuned().get(str(task))
        if row and plan in row.seconds and (other := row.runner_up(plan)):
            return RunnerUp(other, row.seconds[other] / row.seconds[plan], measured=True)
        machine, families = nominal(task.architecture), plans.families()
        seconds = {str(p): families[p.family].estimate(task, p, machine) for p in plans.candidates(task)}
        chosen = seconds.pop(plan)
        best = min(seconds, key=seconds.__getitem__, default=None)
        return RunnerUp(best, seconds[best] / chosen, measured=False) if best else None

    def _tuned(self) -> Table:
        """Return what was measured, read once."""
        if self._table is None:
            self._table = self._measured() if self._measured else {}
        return self._table

    def _chosen(self, task: Task) -> Plan:
        known = {str(plan): plan for plan in plans.candidates(task)}
        kept = self.used.get(str(task))
        if kept in known:
            return known[kept]
        if kept is not None:
            self._tell(
                f"{task}: this version of gpucnn has no plan {kept!r}, by which the checkpoint's run computed it: "
                "another one is used, and the weights will not be equal to the last bit to those of that version"
            )
        row = self._tuned().get(str(task))
        default = next(iter(known.values()))
        return known.get(row.plan, default) if row else default


def choices(
    which: Literal["tuned", "default"],
    device: Device,
    kept: Mapping[str, str] | None = None,
    tell: Callable[[str], object] = lambda text: None,
) -> Choices:
    """Return the choices of a run on a device; which: whether plans that were measured are used, read when needed."""
    if which == "default":
        return Choices(kept, None, tell)
    return Choices(kept, lambda: Cache(identity(device), tell).read(), tell)
