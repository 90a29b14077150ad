"""Choosing by which plan convolutions are computed in a test; computing a task by a plan, and what is right."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from checks.arrays import numbers
from checks.halves import HALVES
from gpucnn import dispatch, ops
from gpucnn.cuda import plans
from gpucnn.cuda.plans import Plan, Task
from gpucnn.halves import accumulator
from gpucnn.tuning.tuner import RESULTS, shapes


def forced(family: str, **options: int) -> AbstractContextManager[None]:
    """Compute by the best plan of a family with these options while entered; as usual what it cannot compute."""

    def choose(task: Task) -> Plan | None:
        found = (plan for plan in plans.candidates(task) if plan.family == family)
        return next((plan for plan in found if set(options.items()) <= set(plan.options)), None)

    return plans.using(choose)


def inputs(task: Task) -> dict[str, np.ndarray]:
    """Return random arrays that a task reads, always the same."""
    named = {name: shape for name, shape in shapes(task).items() if name not in RESULTS[task.which]}
    seed = zlib.crc32(str(task).encode())
    if task.dtype in HALVES:
        found = HALVES[task.dtype].numbers(seed, *named.values())
    else:
        found = numbers(seed, *named.values(), dtype=task.dtype)
    return dict(zip(named, found, strict=True))


def computed(task: Task, plan: Plan) -> np.ndarray:
    """Return what a plan makes of a task's `inputs`, by whatever computes NumPy arrays now."""
    given = inputs(task)
    dtype = next(iter(given.values())).dtype
    result = np.full(_shape(task), np.nan, accumulator(dtype) if _is_widened(task) else dtype)
    (name,) = RESULTS[task.which]
    plans.families()[plan.family].run(plan, task, {**given, name: result})
    return result


def _shape(task: Task) -> tuple[int, ...]:
    (name,) = RESULTS[task.which]
    return shapes(task)[name]


def _is_widened(task: Task) -> bool:
    """Return whether a result is kept as sums are carried: a gradient of weights."""
    return task.which == "backward_weight"


def operation(task: Task, given: Sequence[Any]) -> Any:
    """Return what the operation of a task makes of its inputs."""
    window = task.window
    options = {"stride": window.stride, "padding": window.pads, "dilation": window.dilation, "groups": task.groups}
    if task.which == "forward":
        return ops.conv2d(*given, **options)
    if task.which == "backward_data":
        return ops.conv2d_backward_data(*given, task.x_shape, **options)
    return ops.conv2d_backward_weight(*given, task.w_shape, **options)


def allowed(task: Task, right: Any, size: Any) -> Any:
    """Return by how much each element of a result may be wrong, in whatever order its sum is taken.

    right: what it should be. size: the sum of the absolute values of its terms.

    With n terms, sums in Acc are wrong by at most (n + 2) eps sum|terms|, tensor cores that cut instead of rounding
    included (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1); n + 2 for a bias and parts.
    Operands of TF32 are off by 2^-11 each, those of three products with TF32 by 2^-22, and the product of what both
    leave over is left out: by less than 2^-20 together. What is stored as a half is rounded once more.
    """
    outputs, *taps, _ = task.w_shape
    terms = {
        "forward": math.prod(task.w_shape[1:]),
        "backward_data": outputs // task.groups * math.prod(taps),
        "backward_weight": math.prod(task.y_shape[:3]),
    }[task.which]
    by_operands = {"exact": 0.0, "fast": 2.0**-20, "tf32": 2.0**-10 * 1.01}[task.numerics]
    eps = np.finfo(np.float64 if task.dtype == "float64" else np.float32).eps
    summed = (by_operands * (task.dtype == "float32") + (terms + 2) * eps) * size
    if task.dtype in HALVES and not _is_widened(task):
        half = HALVES[task.dtype]
        return summed + half.unit * (abs(right) + summed) + half.smallest / 2
    return summed


def assert_right(task: Task, plan: Plan, result: np.ndarray) -> None:
    """Fail where an element of a result of the task's `inputs` is wrong by more than is allowed."""
    given = [np.float64(array) for array in inputs(task).values()]
    with dispatch.using("reference"):
        right, size = operation(task, given), operation(task, [abs(array) for array in given])
    assert_within(task, plan, result, right, size)


def assert_within(task: Task, plan: Plan, result: Any, right: Any, size: Any) -> None:
    """Fail where an element of a result is wrong by more than `allowed`; arrays may be on a GPU."""
    beyond = abs(result.astype(np.float64) - right) - allowed(task, right, size)
    worst = float(beyond.max()) if beyond.size else -np.inf
    assert not np.isnan(worst), f"{plan}: not a number, {task}"
    assert worst <= 0, f"{plan}: wrong by {worst:.3g} more than is allowed, {task}"
