"""conv2d_band_backward.cu: both gradients of a convolution of few channels, stride 1, from one reading of dy."""

from __future__ import annotations

import math

from gpucnn.cuda.bands import BRINGING, GROUP, SHARE, Sight, Team, Tile, best_team, best_tile, fits, terms, tiling
from gpucnn.cuda.machine import Machine
from gpucnn.cuda.passes import launch_pass
from gpucnn.cuda.plans import Arrays, Plan, Task

BOTH = True

THREADS, PIXELS = 288, 2
"""Of a block, at most, and inputs that a thread has of dx, as in conv2d_band_backward.cu."""

BLOCKS = 512
"""As many as keep a large GPU busy, some on each multiprocessor."""


def plans(task: Task) -> list[Plan]:
    """Return the plan with tiles that cost least; none where the shapes do not fit."""
    data = task._replace(which="backward_data")
    if not fits(data) or data.window.stride != (1, 1) or Sight.of(data).outputs > GROUP * GROUP:
        return []
    most = THREADS // _groups(data) * PIXELS
    tile = best_tile(data, most, lambda tile: _work(data, tile, team) if (team := _team(data, tile)) else math.inf)
    if tile is None or _team(data, tile) is None:
        return []
    each = -(-tile.tiles // min(BLOCKS, tile.tiles))
    return [Plan.of("band_backward", rows=tile.rows, columns=tile.columns, pieces=-(-tile.tiles // each))]


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes."""
    data = task._replace(which="backward_data")
    tile, pieces = Tile.planned(data, plan), plan.option("pieces")
    waves = -(-pieces // machine.multiprocessors) * machine.multiprocessors / pieces
    size = data.bytes * 4 / 3  # x, dy and dx, and kernels
    return machine.seconds(tile.tiles * _work(data, tile, _sure(data, tile)) * waves, SHARE * machine.fma, size)


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute both gradients."""
    data, weight = task._replace(which="backward_data"), task._replace(which="backward_weight")
    team = _sure(data, Tile.planned(data, plan))
    t = tiling(data, plan, team.groups, team.quads)
    others = {"w": arrays["w"], "z": arrays.get("z"), "dx": arrays["dx"], "block": team.threads, "t": t}
    launch_pass("band_backward", (1, plan.option("pieces")), plan, weight, arrays, **others)


def _groups(data: Task) -> int:
    return -(-Sight.of(data).outputs // GROUP)


def _team(data: Task, tile: Tile) -> Team | None:
    """Return the team that has all sums of dw, where there is one with threads for all inputs of a tile."""
    team = best_team(data, tile, THREADS)
    whole = team is not None and team.chunks == 1 and team.threads // team.groups * PIXELS >= tile.outputs
    return team if whole else None


def _sure(data: Task, tile: Tile) -> Team:
    team = _team(data, tile)
    assert team is not None
    return team


def _work(data: Task, tile: Tile, team: Team) -> float:
    """Return about how many operations a block's time for a tile is worth."""
    products = 2 * team.threads * PIXELS * GROUP * terms(data)
    return float(products + BRINGING * terms(data) * team.groups * GROUP + team.work(tile))
