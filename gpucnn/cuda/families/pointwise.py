"""conv2d_pointwise.cu: 1x1 kernels and dense layers, as matrix products without index arithmetic."""

from __future__ import annotations

from gpucnn.cuda.families import tiled
from gpucnn.cuda.machine import Machine
from gpucnn.cuda.passes import by_pieces, launch_pass, peak
from gpucnn.cuda.plans import Arrays, Plan, Task

ENDS = True

part = tiled.part

LIGHTER = 1.1
"""Times the share of a machine's peak that tiles reach whose operands have to be looked up."""


def plans(task: Task) -> list[Plan]:
    """Return a plan for each size of tiles; for a weight gradient, with several numbers of pieces."""
    window = task.window
    fits = (
        task.groups == 1
        and task.dtype != "float64"
        and window.kernel == (1, 1)
        and window.pads == ((0, 0), (0, 0))
        and (window.stride == (1, 1) or task.which != "backward_weight")
    )
    return [plan for side in tiled.SIDES for plan in by_pieces(task, "pointwise", m=side, n=side)] if fits else []


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes."""
    rate = LIGHTER * tiled.share(task, plan) * peak(task, plan, machine)
    return machine.seconds(task.flops, rate, task.bytes)


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute a task: a block for each tile of the result; two where dx is strided, one for what no output sees."""
    down, across, phases_or_pieces = tiled.grid(plan, task)
    grid = (down, across, min(phases_or_pieces, 2) if task.which == "backward_data" else phases_or_pieces)
    launch_pass(f"pointwise_{task.which}_{plan.option('m')}", grid, plan, task, arrays)
