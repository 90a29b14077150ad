"""Which plans there are for a task, and which is chosen."""

from __future__ import annotations

import math

import pytest
from checks.tasks import PASSES, task

from gpucnn.cuda import plans
from gpucnn.cuda.plans import Plan, Task
from gpucnn.cuda.sums import parts_of
from gpucnn.ops.window import Window


def tile_size(rows: int, columns: int, products: int) -> int | None:
    """The rule that chose between tiles and none before there were plans.

    But for tiles that would be half empty, and for groups of one channel with 16 kernels and more.
    """
    if min(rows, columns) < 16 or products > 65535:
        return None
    return 128 if min(rows, columns) > 64 and -(-rows // 128) * -(-columns // 128) * products >= 128 else 64


def by_rule(task: Task) -> Plan:
    """The plan that this rule gives."""
    (n, h, w, _), (k, _, _, depth) = task.x_shape, task.w_shape
    outputs, phases = math.prod(task.y_shape[:3]), task.window.stride[0] * task.window.stride[1]
    pieces = parts_of(outputs, math.prod(task.w_shape))
    met = n * -(-h // task.window.stride[0]) * -(-w // task.window.stride[1])
    size = {
        "forward": tile_size(outputs, k // task.groups, task.groups),
        "backward_data": tile_size(met, depth, task.groups * phases),
        "backward_weight": tile_size(k // task.groups, math.prod(task.w_shape[1:]), task.groups * pieces),
    }[task.which]
    options = {"pieces": pieces} if task.which == "backward_weight" else {}
    if size:
        return Plan.of("tiled", m=size, n=size, **options)
    return Plan.of("depthwise" if depth == 1 and task.groups > 1 else "plain", **options)


@pytest.mark.parametrize("which", PASSES)
def test_by_default_float32_is_computed_as_the_rule_says(which, rng, monkeypatch):
    """With exact numerics, by the families of whatever shape, for 300 tasks that are as wild as they may be."""
    known = {name: plans.families()[name] for name in ("plain", "tiled", "depthwise")}
    monkeypatch.setattr(plans, "families", lambda: known)
    for _ in range(300):
        groups = int(rng.choice([1, 1, 1, 2, 8]))
        depth, outputs = (int(2 ** rng.uniform(0, 9)) for _ in range(2))
        size, kernel, stride = int(rng.integers(5, 60)), int(rng.choice([1, 3, 5])), int(rng.choice([1, 2]))
        x_shape = (int(2 ** rng.uniform(0, 10)), size, size, depth * groups)
        given = task(which, x_shape, (outputs * groups, kernel, kernel, depth), stride=stride)
        assert plans.chosen(given) == by_rule(given), given


@pytest.mark.parametrize("which", PASSES)
def test_there_is_a_plan_for_whatever_there_is(which):
    for dtype in ("float16", "float32", "float64"):
        for x_shape, w_shape in [((0, 1, 1, 1), (1, 1, 1, 1)), ((1, 3, 5, 70_000), (70_000, 2, 2, 1))]:
            found = plans.candidates(task(which, x_shape, w_shape, dtype))
            assert any(plan.family == "plain" for plan in found)
            assert len(set(found)) == len(found)


def test_sums_are_tried_in_more_and_fewer_pieces():
    given = task("backward_weight", (128, 16, 16, 16), (8, 3, 3, 8), padding=1)  # in two groups
    pieces = {plan.option("pieces") for plan in plans.candidates(given)}
    assert pieces == {16, 32, 64, 128, 256}
    assert plans.chosen(given).option("pieces") == parts_of(128 * 16 * 16, 8 * 3 * 3 * 8) == 64


def test_equal_tasks_are_one():
    """However their windows were made: what is remembered of one holds for the other."""
    given = task("forward", (2, 5, 5, 3), (4, 3, 3, 3))
    assert {given: 1}[given._replace(window=plans.canonical(Window.over((5, 5), (3, 3))))] == 1


def test_a_choice_comes_before_the_best_estimate():
    given = task("forward", (512, 30, 30, 64), (64, 3, 3, 64))
    assert plans.chosen(given) == Plan.of("tiled", m=64, n=64)
    with plans.using({given: Plan.of("plain")}.get):
        assert plans.chosen(given) == Plan.of("plain")
        assert plans.chosen(given._replace(groups=2)).family == "tiled"
    assert plans.chosen(given) == Plan.of("tiled", m=64, n=64)


@pytest.mark.parametrize("text", ["", "mma 128", "mma stages=x"])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        Plan.read(text)
