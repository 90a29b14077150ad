"""conv2d_band.cu: few channels, from bands of images in shared memory; forward and backward data."""

from __future__ import annotations

from functools import partial

from gpucnn.cuda.bands import BRINGING, GROUP, SHARE, Sight, Tile, best_tile, fits, phases, terms, tiling
from gpucnn.cuda.launch import GRID_LIMITS
from gpucnn.cuda.machine import Machine
from gpucnn.cuda.passes import launch_pass
from gpucnn.cuda.plans import Arrays, Plan, Task

ENDS = True

THREADS = 128
"""Of a block, at most, as in conv2d_band.cu."""

PIXELS = {"forward": (4, 8), "backward_data": (4,)}
"""Outputs that a thread may have, 8 channels of each."""


def plans(task: Task) -> list[Plan]:
    """Return a plan for each number of outputs a thread."""
    if task.which == "backward_weight" or not fits(task) or phases(task) > GRID_LIMITS[2]:
        return []
    most = THREADS // _groups(task)
    found = {n: best_tile(task, most * n, partial(_work, task, n)) for n in PIXELS[task.which]}
    return [
        Plan.of("band", pixels=n, rows=tile.rows, columns=tile.columns)
        for n, tile in found.items()
        if tile and tile.tiles <= GRID_LIMITS[0]
    ]


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes: its products, idle threads' too, and what is brought for them."""
    tile = Tile.planned(task, plan)
    blocks = tile.tiles * _chunks(task) * phases(task)
    waves = -(-blocks // machine.multiprocessors) * machine.multiprocessors
    return machine.seconds(waves * _work(task, plan.option("pixels"), tile), SHARE * machine.fma, task.bytes)


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute a task: a block for each tile, of each phase where it is a strided gradient."""
    tile, pixels, groups = Tile.planned(task, plan), plan.option("pixels"), _groups(task)
    grid, block = (tile.tiles, _chunks(task), phases(task)), _threads(task, pixels, tile)
    name = f"band_{task.which}{'_strided' if phases(task) > 1 else ''}_{pixels}"
    launch_pass(name, grid, plan, task, arrays, block=block, t=tiling(task, plan, groups))


def part(task: Task, plan: Plan) -> int:
    """Return of how many outputs a forward kernel writes the moments: of a tile's, where all tiles are equal."""
    tile, sight = Tile.planned(task, plan), Sight.of(task)
    return 0 if sight.rows % tile.rows or sight.columns % tile.columns else tile.outputs


def _work(task: Task, pixels: int, tile: Tile) -> float:
    """Return about how many operations a block's time is worth."""
    products = 2 * _threads(task, pixels, tile) * pixels * GROUP * terms(task)
    return float(products + BRINGING * (tile.band + terms(task) * _groups(task) * GROUP))


def _chunks(task: Task) -> int:
    """Return how many blocks compute a tile: one for up to 64 channels."""
    return -(-Sight.of(task).outputs // (8 * GROUP))


def _groups(task: Task) -> int:
    """Return how many groups of channels a block has, all blocks about as many."""
    groups = -(-Sight.of(task).outputs // GROUP)
    return -(-groups // _chunks(task))


def _threads(task: Task, pixels: int, tile: Tile) -> int:
    """Return the threads that have all outputs of a tile, in whole warps."""
    return -(-_groups(task) * -(-tile.outputs // pixels) // 32) * 32
