"""What families of kernels have in common: the products that passes are, sums taken in pieces, peaks, and launching."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

from gpucnn.backend import Array
from gpucnn.cuda import sums
from gpucnn.cuda.ending import NOTHING
from gpucnn.cuda.geometry import geometry
from gpucnn.cuda.launch import blocks, launch
from gpucnn.cuda.machine import Machine
from gpucnn.cuda.plans import Arrays, Plan, Task
from gpucnn.cuda.sources import kernels


class Product(NamedTuple):
    """A pass as `products` matrix products of (rows, terms) with (terms, columns), as in conv2d_tiled.cu."""

    rows: int
    columns: int
    products: int


def product(task: Task) -> Product:
    """Return what a pass is as matrix products, the sums of a weight gradient in one piece."""
    n, h, w, _ = task.x_shape
    outputs, _, _, depth = task.w_shape
    if task.which == "forward":
        return Product(math.prod(task.y_shape[:3]), outputs // task.groups, task.groups)
    if task.which == "backward_data":
        rows = n * math.prod(-(-size // s) for size, s in zip((h, w), task.window.stride, strict=True))
        return Product(rows, depth, task.groups * math.prod(task.window.stride))
    return Product(outputs // task.groups, math.prod(task.w_shape[1:]), task.groups)


def default_pieces(task: Task) -> int:
    """Return in how many pieces the sums of a weight gradient are taken without tuning."""
    return sums.parts_of(math.prod(task.y_shape[:3]), math.prod(task.w_shape))


def by_pieces(task: Task, family: str, **options: int) -> list[Plan]:
    """Return the plan of a family with these options: for a weight gradient, one for each number of pieces to try."""
    if task.which != "backward_weight":
        return [Plan.of(family, **options)]
    terms, usual = math.prod(task.y_shape[:3]), default_pieces(task)
    most = min(max(1, terms), max(usual, sums.MOST_NUMBERS // max(1, math.prod(task.w_shape))))
    found = {max(1, min(round(usual * factor), most)) for factor in (0.25, 0.5, 1, 2, 4)}
    return [Plan.of(family, **options, pieces=pieces) for pieces in sorted(found)]


def peak(task: Task, plan: Plan, machine: Machine) -> float:
    """Return the operations a second that a machine is good for without tensor cores.

    Half of that for twice or half as many pieces as usual: until something is measured, as usual is best.
    """
    flops = machine.double if task.dtype == "float64" else machine.fma
    if task.which != "backward_weight":
        return flops
    ratio = plan.option("pieces") / default_pieces(task)
    return flops * min(ratio, 1 / ratio)


def elements(plan: Plan, task: Task) -> tuple[int, int]:
    """Return the grid with a thread for each element of the result, or for each piece of its sum."""
    if task.which == "backward_weight":
        return blocks(math.prod(task.w_shape), plan.option("pieces"))
    return blocks(math.prod(task.y_shape if task.which == "forward" else task.x_shape))


def launch_pass(name: str, grid: tuple[int, ...], plan: Plan, task: Task, arrays: Arrays, /, **others: Any) -> None:
    """Launch a pass's kernel with its arrays and geometry; `others` as in `launch`.

    The kernel of a weight gradient writes `parts` (pieces, K, R, S, C/groups) of its sums, which are added up in order.
    """
    others["g"] = geometry(task.x_shape, task.w_shape[0], task.window, task.groups)
    if task.which == "forward" and any(p.name == "function" for p in kernels()[name].parameters):
        others = {**NOTHING, **others}
    if task.which == "backward_data":
        others = {"z": None, **others}
    if any(p.name == "squares" for p in kernels()[name].parameters):
        others = {"means": None, "squares": None, **others}
    if task.which != "backward_weight":
        launch(name, grid, **{**others, **arrays})
        return
    x, dy, dw = (cast(Array, arrays[name]) for name in ("x", "dy", "dw"))
    parts = sums.new_parts(x, plan.option("pieces"), dw.size)
    launch(name, grid, x=x, dy=dy, parts=parts, **others)
    sums.add_parts_into(parts, dw)
