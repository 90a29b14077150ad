"""conv2d_band_weight.cu: the gradient of few kernels, or of few channels, from bands of images in shared memory."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from gpucnn.cuda.bands import BRINGING, GROUP, SHARE, Tile, best_tile, fits, parts, terms, tiling
from gpucnn.cuda.launch import GRID_LIMITS
from gpucnn.cuda.machine import Machine
from gpucnn.cuda.passes import launch_pass
from gpucnn.cuda.plans import Arrays, Plan, Task
from gpucnn.cuda.sums import MOST_NUMBERS

THREADS = 320
"""Of a block, at most, as in conv2d_band_weight.cu."""

QUAD = 4
"""Terms that a thread has, and 8 kernels of each."""

PIECES = 512
"""Blocks that keep a large GPU busy, some on each multiprocessor."""


class Team(NamedTuple):
    """The threads that have all sums of a block: so many groups of kernels by so many quads of terms.

    lanes: teams of a block, which share its outputs out. chunks: blocks with sums of their own.
    """

    groups: int
    quads: int
    lanes: int
    chunks: int

    @property
    def threads(self) -> int:
        """Return the threads of a block, in whole warps."""
        return -(-self.groups * self.quads * self.lanes // 32) * 32

    def work(self, tile: Tile) -> float:
        """Return about how many operations all chunks' time for a tile is worth."""
        products = 2 * -(-tile.outputs // self.lanes) * self.threads * GROUP * QUAD
        return float(self.chunks * (products + BRINGING * (tile.band + tile.outputs * self.groups * GROUP)))


def plans(task: Task) -> list[Plan]:
    """Return a plan for each number of pieces to try."""
    if task.which != "backward_weight" or not fits(task):
        return []
    tile, team = best_tile(task, 2**31, lambda tile: tile.band + 1000), None
    if tile is None or (team := _team(task, tile)) is None:
        return []
    most = min(tile.tiles, MOST_NUMBERS // math.prod(task.w_shape), GRID_LIMITS[1])
    usual = PIECES // team.chunks
    each = {-(-tile.tiles // max(1, min(pieces, most))): None for pieces in (usual, 2 * usual, usual // 2)}
    return [Plan.of("band_weight", rows=tile.rows, columns=tile.columns, pieces=-(-tile.tiles // n)) for n in each]


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes: its products, idle threads' too, and what is brought for them.

    Twice that for twice or half as many pieces as usual: until something is measured, as usual is best.
    """
    tile = Tile.planned(task, plan)
    team, blocks = _sure_team(task, tile), plan.option("pieces") * _sure_team(task, tile).chunks
    waves = -(-blocks // machine.multiprocessors) * machine.multiprocessors / blocks
    work = tile.tiles * team.work(tile) * waves * (1 if plan == plans(task)[0] else 2)
    return machine.seconds(work, SHARE * machine.fma, task.bytes)


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute a task: a block for each piece of each chunk of its sums."""
    team = _sure_team(task, Tile.planned(task, plan))
    grid, t = (team.chunks, plan.option("pieces")), tiling(task, plan, team.groups, team.quads)
    launch_pass("band_backward_weight", grid, plan, task, arrays, block=team.threads, t=t)


@lru_cache(maxsize=1024)
def _team(task: Task, tile: Tile) -> Team | None:
    """Return the team that costs least."""
    groups, quads = -(-task.w_shape[0] // GROUP), -(-terms(task) // QUAD)
    found = [
        Team(some, several, lanes, -(-groups // some) * -(-quads // several))
        for some, several in product(parts(groups), parts(quads))
        for lanes in {max(1, min(THREADS // (some * several), tile.outputs)), 1}
        if some <= GROUP and some * several <= THREADS
    ]
    return min(found, key=lambda team: team.work(tile), default=None)


def _sure_team(task: Task, tile: Tile) -> Team:
    team = _team(task, tile)
    assert team is not None
    return team
