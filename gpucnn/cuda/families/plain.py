"""conv2d.cu: a thread has one output and its whole sum, or one piece of it. Computes whatever there is."""

from __future__ import annotations

from gpucnn.cuda.machine import Machine
from gpucnn.cuda.passes import by_pieces, elements, launch_pass, peak
from gpucnn.cuda.plans import Arrays, Plan, Task

ENDS = True
"""Whether its forward kernels take what else a pass ends with."""

SHARE = 0.1
"""Of a machine's peak that it is taken to reach: it reads two numbers for each multiplication."""


def plans(task: Task) -> list[Plan]:
    """Return one plan: for a weight gradient, several numbers of pieces."""
    return by_pieces(task, "plain")


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes."""
    return machine.seconds(task.flops, SHARE * peak(task, plan, machine), task.bytes)


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute a task: a thread for each element of the result."""
    launch_pass(f"conv2d_{task.which}", elements(plan, task), plan, task, arrays)
