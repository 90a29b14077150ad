"""conv2d_depthwise_sliding.cu: groups = C, 3x3 or 5x5, stride 1 or 2; a window slides through a thread's registers."""

from __future__ import annotations

import math

from gpucnn.cuda.launch import blocks
from gpucnn.cuda.machine import Machine
from gpucnn.cuda.passes import launch_pass
from gpucnn.cuda.plans import Arrays, Plan, Task
from gpucnn.cuda.sums import MOST_NUMBERS

ENDS = True

HEIGHTS = (16, 8)
"""About how many rows a thread walks along: the first rows of a strip are read twice."""

LANES, WARP = 8, 32
"""Of a weight gradient's block: lanes of positions, and threads that have neighbouring channels."""

ENOUGH = 1024
"""Blocks that keep a large GPU busy."""

SHARE = 0.25
"""Of a machine's peak that is taken to be reached where the memory is no limit."""


def plans(task: Task) -> list[Plan]:
    """Return a plan for each height of strips, with several numbers of pieces for a weight gradient."""
    window, outputs, channels = task.window, task.w_shape[0], task.x_shape[3]
    fits = (
        task.dtype != "float64"
        and task.w_shape[3] == 1
        and task.groups == channels > 1
        and window.kernel in ((3, 3), (5, 5))
        and window.stride in ((1, 1), (2, 2))
        and window.dilation == (1, 1)
        and (task.which != "backward_data" or outputs == channels)
    )
    if not fits:
        return []
    rows = _walk(task)[1]
    heights = sorted({-(-rows // -(-rows // height)) for height in HEIGHTS}, reverse=True)
    if task.which != "backward_weight":
        return [Plan.of("sliding", height=height) for height in heights]
    found: dict[Plan, None] = {}
    for height in heights:
        items = _items(task, height)
        most = max(1, min(items, MOST_NUMBERS // max(1, math.prod(task.w_shape))))
        usual = min(-(-items // LANES), -(-ENOUGH // _across(task)), most)
        for pieces in (usual, 2 * usual, usual // 2):
            found[Plan.of("sliding", height=height, pieces=max(1, min(pieces, most)))] = None
    return list(found)


def estimate(task: Task, plan: Plan, machine: Machine) -> float:
    """Return about how many seconds it takes: what memory allows, and longer where threads are too few."""
    height, strips = plan.option("height"), -(-_walk(task)[1] // plan.option("height"))
    if task.which == "backward_weight":
        threads = min(_across(task) * plan.option("pieces") * LANES * WARP, _items(task, height) * _packs(task))
        usual = 1.0 if plan.option("pieces") == plans(task)[0].option("pieces") else 0.5
    else:
        threads, usual = _items(task, height) * _packs(task), 1.0
    busy = min(1.0, threads / (machine.multiprocessors * 512)) * usual
    again = (height + task.w_shape[1] - 1) / height if strips > 1 else 1.0
    return machine.seconds(task.flops * again, SHARE * max(busy, 1e-3) * machine.fma, task.bytes / max(busy, 1e-3))


def run(plan: Plan, task: Task, arrays: Arrays) -> None:
    """Compute a task: a thread for a strip of some columns and channels; of a weight gradient, for several."""
    size, stride, height = task.w_shape[1], task.window.stride[0], plan.option("height")
    if task.which == "backward_weight":
        grid = (_across(task), plan.option("pieces"))
    else:
        grid = blocks(_items(task, height) * _packs(task))
    launch_pass(f"depthwise_{task.which}_{size}x{size}_{stride}", grid, plan, task, arrays, height=height)


def _walk(task: Task) -> tuple[int, int]:
    """Return how many runs of columns there are, and how many rows to walk along."""
    size, stride, run = task.w_shape[1], task.window.stride[0], 4 if task.w_shape[1] == 3 else 2
    if task.which != "backward_data":
        rows, columns = task.window.output
        return -(-columns // run), rows
    (top, _), (left, _) = task.window.pads
    height, width = task.x_shape[1:3]
    held = (size - 1) // stride + 1
    ahead = top + stride * held - size
    return -(-(left % stride + width) // (run if stride == 1 else run // 2 * stride)), (
        (ahead + height - 1) // stride - ahead // stride + 1
    )


def _items(task: Task, height: int) -> int:
    """Return how many strips of runs of columns all images have."""
    runs, rows = _walk(task)
    return task.x_shape[0] * runs * -(-rows // height)


def _packs(task: Task) -> int:
    """Return how many threads have all channels beside each other."""
    return -(-task.w_shape[0] // (2 if task.dtype in ("float16", "bfloat16") else 1))


def _across(task: Task) -> int:
    return -(-_packs(task) // WARP)
