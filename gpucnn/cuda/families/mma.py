"""conv2d_mma*.cu: matrix products on tensor cores, from sm_80 on.

Halves are multiplied as they are. float32 is rounded to TF32 where `numerics` is tf32, and else taken as two numbers of
TF32, in three products: as exact as float32's own sums, which `numerics: exact` keeps to.
"""

from __future__ import annotations

import math
from typing import cast

from gpucnn.backend import Array
from gpucnn.cuda.launch import GRID_LIMITS
from gpucnn.cuda.machine import Machine, multiprocessors, nominal
from gpucnn.cuda.passes import by_pieces, launch_pass, product
from gpucnn.cuda.plans import Arrays, Plan, Task

ENDS = True

ARCHITECTURE = 80
"""The oldest that has the instructions."""

TILES: dict[int, dict[tuple[int, int], int]] = {
    1: {(256, 128): 256, (128, 128): 128, (256, 64): 256, (128, 64): 128, (64, 64): 128, (128, 32): 128},
    3: {(128, 128): 256, (128, 64): 256, (64, 64): 128, (128, 32): 128},
}
"""How many products one is taken in: sides of tiles (m, n): threads of a block."""

STEP, CHUNK, MOST_SHARED = 32, 16, 96 << 10
"""As in mma.cuh: how much of k is multiplied from one barrier to the next; bytes that are copied at once, and that a
block's panels may take."""

SHARES = {(256, 128): 0.6, (128, 128): 0.55, (256, 64): 0.5, (128, 64): 0.45, (64, 64): 0.35, (128, 32): 0.3}
"""Of the peak of tensor cores that tiles are taken to reach: small ones read more for a product."""

NEWER = {90: 0.6, 100: 0.35, 120: 1.0}
"""Of that, on architectures from these on: H100 and B200 have their full rate for instructions of their own alone."""

SINGLY = 0.02
"""Of that, where elements are brought one by one."""

ALONE = 256
"""Threads of a block that has a multiprocessor for itself, as in mma.cuh: of halves, such blocks may be persistent, as
many as there are multiprocessors, each for one tile after the other."""

UNTRIED = 1.01
"""How much longer that is taken to last until it was measured."""

PROLOGUE = 1.5e-6
"""Seconds until the first panel is there, and from the last sum on."""


def plans(task: Task) -> list[Plan]:
    """Return a plan for each size of tiles; for a weight gradient, with several numbers of pieces."""
    if task.architecture < ARCHITECTURE or task.dtype == "float64" or _exact(task):
        return []
    found = [plan for m, n in TILES[products_of(task)] for plan in by_pieces(task, "mma", m=m, n=n)]
    found = [plan for plan in found if _grid(plan, task)[2] <= GRID_LIMITS[2]]
    return found + [Plan(plan.family, (*plan.options, ("persistent", 1))) for plan in found if _may_persist(plan, task)]


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes: waves of tiles over the multiprocessors, or what memory allows."""
    tile, weight = (plan.option("m"), plan.option("n")), math.prod(task.w_shape)
    newer = NEWER[max((known for known in NEWER if known <= task.architecture), default=120)]
    slower = products_of(task) * (2 if task.dtype == "float32" else 1)
    rate = machine.tensor * SHARES[tile] * newer / slower * (1 if _aligned(task) else SINGLY)
    pieces, (rows, columns, products) = _pieces(plan), product(task)
    depth = -(-task.flops // max(1, 2 * rows * columns * products * pieces) // STEP) * STEP  # of a tile's sums
    waves = math.ceil(math.prod(_grid(plan, task)) / machine.multiprocessors)
    computing = waves * machine.multiprocessors * 2 * math.prod(tile) * max(depth, STEP)
    adding = machine.launch + 8 * pieces * weight / machine.bandwidth if task.which == "backward_weight" else 0.0
    seconds = machine.seconds(computing, rate, task.bytes) + PROLOGUE + adding
    return UNTRIED * seconds if _persists(plan) else seconds


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute a task: a block for each tile of the result, or for each multiprocessor."""
    m, n, (tiles, _, matrices) = plan.option("m"), plan.option("n"), _grid(plan, task)
    if _persists(plan):
        tiles = min(tiles, multiprocessors(cast(Array, arrays["w"])))
    others = {"pieces": plan.option("pieces")} if task.which == "backward_weight" else {}
    products = products_of(task)
    name = f"{'mma3' if products == 3 else 'mma'}_{task.which}_{m}_{n}"
    launch_pass(
        name, (tiles, 1, matrices), plan, task, arrays, block=TILES[products][m, n], shared=shared(m, n, task), **others
    )


def part(task: Task, plan: Plan) -> int:
    """Return of how many rows of y a forward kernel writes the moments: of those that a tile has."""
    return plan.option("m")


def products_of(task: Task) -> int:
    """Return in how many products of tensor cores one is taken."""
    return 3 if task.dtype == "float32" and task.numerics != "tf32" else 1


def shared(m: int, n: int, task: Task) -> int:
    """Return the bytes of shared memory that a block needs: as many stages of both panels as fit, up to 4."""
    stage = (m + n) * STEP * (4 if task.dtype == "float32" else 2)
    return stage * min(4, MOST_SHARED // stage)


def _exact(task: Task) -> bool:
    return task.dtype == "float32" and task.numerics == "exact"


def _aligned(task: Task) -> bool:
    """Return whether what a group reads, its channels and but for forward outputs, are multiples of CHUNK."""
    size = 4 if task.dtype == "float32" else 2
    outputs = 0 if task.which == "forward" else task.w_shape[0] // task.groups
    return task.w_shape[3] * size % CHUNK == 0 == outputs * size % CHUNK


def _pieces(plan: Plan) -> int:
    return dict(plan.options).get("pieces", 1)


def _persists(plan: Plan) -> bool:
    return "persistent" in dict(plan.options)


def _may_persist(plan: Plan, task: Task) -> bool:
    """Return whether a plan's kernel computes several tiles a block, and there are more tiles than multiprocessors."""
    tiles, _, matrices = _grid(plan, task)
    alone = TILES[1][plan.option("m"), plan.option("n")] == ALONE and task.dtype != "float32"
    many = tiles > nominal(task.architecture).multiprocessors and matrices == 1
    return alone and many and task.which != "backward_weight"


def _grid(plan: Plan, task: Task) -> tuple[int, int, int]:
    """Return the grid of tiles: those of one m after the other."""
    rows, columns, products = product(task)
    return -(-rows // plan.option("m")) * -(-columns // plan.option("n")), 1, products * _pieces(plan)
