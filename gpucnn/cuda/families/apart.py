"""Both gradients of a convolution one after the other, each by the plan that is chosen for it."""

from __future__ import annotations

from gpucnn.cuda import plans as of_passes
from gpucnn.cuda.machine import Machine
from gpucnn.cuda.plans import Arrays, Plan, Task

BOTH = True


def plans(task: Task) -> list[Plan]:
    """Return the one plan."""
    return [Plan.of("apart")]


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds both take by the plans with the best estimates."""
    best = [(one, of_passes.candidates(one)[0]) for one in passes(task)]
    return sum(of_passes.families()[by.family].estimate(one, by, machine) for one, by in best)


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute dx and dw."""
    for one, names in zip(passes(task), (("dy", "w", "dx"), ("x", "dy", "dw")), strict=True):
        of_passes.compute(one, {name: arrays[name] for name in names})


def passes(task: Task) -> list[Task]:
    """Return backward data and backward weight as tasks of their own."""
    return [task._replace(which="backward_data"), task._replace(which="backward_weight")]
