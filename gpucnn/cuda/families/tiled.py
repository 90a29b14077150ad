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

LEAST_SIDE = 16
"""A product with fewer rows or columns than this leaves most of a tile empty."""

MANY_TILES = 128
"""Large tiles are faster where there are at least so many of them: about as many as a large GPU runs at once."""

SHARES = {64: 0.4, 128: 0.7}
"""Of a machine's peak that tiles are taken to reach, and below:"""
TOO_FEW = 0.3
"""what large ones reach that leave multiprocessors idle, or half of their columns empty."""


def plans(task: Task) -> list[Plan]:
    """Return a plan for each size of tiles; for a weight gradient, with several numbers of pieces."""
    found = [plan for side in SIDES for plan in by_pieces(task, "tiled", m=side, n=side)]
    return [plan for plan in found if _grid(plan, task)[2] <= GRID_LIMITS[2]]


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes."""
    side, (rows, columns, _) = plan.option("m"), product(task)
    few = side == 128 and (columns <= 64 or math.prod(_grid(plan, task)) < MANY_TILES)
    share = TOO_FEW if few else SHARES[side]
    if min(rows, columns) < LEAST_SIDE:
        share *= min(rows, columns) / side
    return machine.seconds(task.flops, max(share, 1e-3) * peak(task, plan, machine), task.bytes)


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute a task: a block for each tile of the result."""
    pieces = {"pieces": plan.option("pieces")} if task.which == "backward_weight" else {}
    launch_pass(f"conv2d_{task.which}_{plan.option('m')}", _grid(plan, task), plan, task, arrays, **pieces)


def _grid(plan: Plan, task: Task) -> tuple[int, int, int]:
    """Return the grid of tiles."""
    side, (rows, columns, products) = plan.option("m"), product(task)
    pieces = plan.option("pieces") if task.which == "backward_weight" else 1
    return -(-rows // side), -(-columns // side), products * pieces
