"""What kernels that compute from bands of images have in common (kernels/band.cuh): what a pass sees, and its tiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from gpucnn.backend import Array
from gpucnn.cuda.plans import Plan, Task
from gpucnn.cuda.sources import structures

BAND = 7168
"""Numbers that a band may have, as in band.cuh."""

GROUP, QUAD = 8, 4
"""Channels that a thread has of what it computes and, of a weight gradient, terms of each."""

SHARE = 0.5
"""Of a machine's peak that products are taken to reach, and how many operations it costs to bring an element:"""
BRINGING = 24


class Sight(NamedTuple):
    """What a pass reads and computes of an image, as in band.cuh, and how far apart neighbours' first pixels are.

    taps, apart: of the window, and how far one is from the next. Of a strided gradient: of its largest phase.
    """

    depth: int
    rows: int
    columns: int
    outputs: int
    stride: tuple[int, int]
    taps: tuple[int, int]
    apart: tuple[int, int]

    @staticmethod
    def of(task: Task) -> Sight:
        """Return that of a pass: x and y or, for backward data, dy and dx."""
        _, height, width, channels = task.x_shape
        window = task.window
        if task.which != "backward_data":
            return Sight(channels, *window.output, task.w_shape[0], window.stride, window.kernel, window.dilation)
        (rows, down, above), (columns, across, beside) = (
            (-(-size // s), -(-kernel // (s // math.gcd(s, d))), d // math.gcd(s, d))
            for size, kernel, s, d in zip((height, width), window.kernel, window.stride, window.dilation, strict=True)
        )
        return Sight(task.w_shape[0], rows, columns, channels, (1, 1), (down, across), (above, beside))

    @property
    def pitch(self) -> int:
        """Return how many numbers a pixel takes in shared memory: neighbours begin in different banks."""
        return self.depth + 4 * (self.depth % 8 == 0)


class Tile(NamedTuple):
    """Outputs that a block computes at a time, how many such tiles all images have, and the numbers of a band."""

    rows: int
    columns: int
    tiles: int
    band: int

    @staticmethod
    def of(task: Task, rows: int, columns: int) -> Tile:
        """Return the tile of so many rows and columns."""
        sight = Sight.of(task)
        (r, s), (down, across) = sight.taps, sight.apart
        height = (rows - 1) * sight.stride[0] + (r - 1) * down + 1
        width = (columns - 1) * sight.stride[1] + (s - 1) * across + 1
        tiles = task.x_shape[0] * -(-sight.rows // rows) * -(-sight.columns // columns)
        return Tile(rows, columns, tiles, height * width * sight.pitch)

    @staticmethod
    def planned(task: Task, plan: Plan) -> Tile:
        """Return the tile that a plan says."""
        return Tile.of(task, plan.option("rows"), plan.option("columns"))

    @property
    def outputs(self) -> int:
        """Return how many outputs, of all channels, it has."""
        return self.rows * self.columns


class Team(NamedTuple):
    """The threads that have all sums of a block: so many groups of channels by so many quads of terms.

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


def fits(task: Task) -> bool:
    """Return whether a pass is one that bands are made for: of one group."""
    return task.groups == 1 and task.dtype != "float64" and 0 not in (*task.x_shape, *task.y_shape)


def best_tile(task: Task, most: int, cost: Callable[[Tile], float]) -> Tile | None:
    """Return the tile of at most so many outputs that costs least for all images; None where no band fits."""
    sight = Sight.of(task)
    tiles = [Tile.of(task, *sides) for sides in product(parts(sight.rows), parts(sight.columns))]
    fitting = [tile for tile in tiles if tile.band <= BAND and tile.outputs <= most]
    return min(fitting, key=lambda tile: tile.tiles * cost(tile), default=None)


@lru_cache(maxsize=1024)
def best_team(task: Task, tile: Tile, threads: int) -> Team | None:
    """Return the team that costs least, of blocks with so many threads; None where there is none."""
    groups, quads = -(-Sight.of(task).outputs // GROUP), -(-terms(task) // QUAD)
    found = [
        Team(some, several, lanes, -(-groups // some) * -(-quads // several))
        for some, several in product(parts(groups), parts(quads))
        for lanes in {max(1, min(threads // (some * several), tile.outputs)), 1}
        if some <= GROUP and some * several <= threads
    ]
    return min(found, key=lambda team: team.work(tile), default=None)


def parts(size: int) -> list[int]:
    """Return the sizes of a side cut into equal parts.

    >>> parts(7)
    [7, 4, 3, 2, 1]
    """
    return sorted({-(-size // count) for count in range(1, size + 1)}, reverse=True)


def terms(task: Task) -> int:
    """Return how many terms the sum of an output has, which is how many sums a weight gradient has of an output.

    In a strided gradient, on average of its phases.
    """
    return -(-math.prod(task.window.kernel) * Sight.of(task).depth // phases(task))


def phases(task: Task) -> int:
    """Return how many phases a pass has: more than one where it is a strided gradient."""
    return math.prod(task.window.stride) if task.which == "backward_data" else 1


def tiling(task: Task, plan: Plan, groups: int, quads: int = 0) -> Array:
    """Return the structure Tiling of band.cuh: groups of channels and, of a weight gradient, quads of terms a block."""
    sight, tile = Sight.of(task), Tile.planned(task, plan)
    down, across = -(-sight.rows // tile.rows), -(-sight.columns // tile.columns)
    return np.array((tile.rows, tile.columns, down, across, sight.pitch, groups, quads), structures()["Tiling"])
