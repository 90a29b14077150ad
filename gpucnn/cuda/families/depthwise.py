"""conv2d_depthwise.cu: groups = C, a thread has one output."""

from __future__ import annotations

from gpucnn.cuda.machine import Machine
from gpucnn.cuda.passes import by_pieces, elements, launch_pass, peak
from gpucnn.cuda.plans import Arrays, Plan, Task

SHARE = 0.101
"""Of a machine's peak that it is taken to reach: little, for there is an address for each multiplication."""


def plans(task: Task) -> list[Plan]:
    """Return one plan where each channel is a group; for a weight gradient, several numbers of pieces."""
    return by_pieces(task, "depthwise") if task.w_shape[3] == 1 and task.groups > 1 else []


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes."""
    return machine.seconds(task.flops, SHARE * peak(task, plan, machine), task.bytes)


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute a task: a thread for each element of the result."""
    launch_pass(f"depthwise_{task.which}", elements(plan, task), plan, task, arrays)
