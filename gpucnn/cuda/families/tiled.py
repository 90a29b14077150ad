"""conv2d_tiled.cu: matrix products by tiles of 64 x 64 or 128 x 128 in shared memory, without tensor cores."""

from __future__ import annotations

import math

from gpucnn.cuda.launch import GRID_LIMITS
from gpucnn.cuda.machine import Machine
from gpucnn.cuda.passes import by_pieces, launch_pass, peak, product
from gpucnn.cuda.plans import Arrays, Plan, Task

ENDS = True
"""Whether its forward kernels take what else a pass ends with."""

SIDES = (64, 128)

MANY_TILES = 128
"""Large tiles are faster where there are at least so many of them: about as many as a large GPU runs at once."""

SHARES = {64: 0.41, 128: 0.7}
"""Of a machine's peak that full tiles are taken to reach, and below:"""
TOO_FEW = 0.3
"""what large ones reach that leave multiprocessors idle, or half of themselves empty."""


def plans(task: Task) -> list[Plan]:
    """Return a plan for each size of tiles; for a weight gradient, with several numbers of pieces."""
    found = [plan for side in SIDES for plan in by_pieces(task, "tiled", m=side, n=side)]
    return [plan for plan in found if grid(plan, task)[2] <= GRID_LIMITS[2]]


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes."""
    return machine.seconds(task.flops, share(task, plan) * peak(task, plan, machine), task.bytes)


def share(task: Task, plan: Plan) -> float:
    """Return what share of a machine's peak tiles of a size reach."""
    side, (rows, columns, _) = plan.option("m"), product(task)
    least = min(rows, columns)
    few = side == 128 and (least <= 64 or math.prod(grid(plan, task)) < MANY_TILES)
    return max(1e-3, (TOO_FEW if few else SHARES[side]) * min(least, 64) / 64)


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute a task: a block for each tile of the result."""
    pieces = {"pieces": plan.option("pieces")} if task.which == "backward_weight" else {}
    launch_pass(f"conv2d_{task.which}_{plan.option('m')}", grid(plan, task), plan, task, arrays, **pieces)


def part(task: Task, plan: Plan) -> int:
    """Return of how many rows of y a forward kernel writes the moments: of those that a tile has."""
    return plan.option("m")


def grid(plan: Plan, task: Task) -> tuple[int, int, int]:
    """Return the grid of tiles."""
    side, (rows, columns, products) = plan.option("m"), product(task)
    pieces = plan.option("pieces") if task.which == "backward_weight" else 1
    return -(-rows // side), -(-columns // side), products * pieces
