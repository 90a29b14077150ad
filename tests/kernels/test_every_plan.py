"""Every plan that can be chosen for a task, not only the default one: against float64, and bit against bit.

Families that join are tested here without a word: a task's plans are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from checks.convolutions import CASES, TILED
from checks.plans import assert_right, computed, inputs
from checks.tasks import PASSES, task
from checks.windows import Conv, conv
from kernels.conftest import SCHEDULES, Kernels, poisoned

from gpucnn import numerics
from gpucnn.cuda import launch, plans, sums
from gpucnn.cuda.plans import Plan, Task

MODES = [("float32", "exact"), ("float32", "fast"), ("float32", "tf32"), ("float16", "exact"), ("bfloat16", "exact")]

SOME = {
    "eights": conv((1, 3, 4, 16), (24, 2, 2, 16), padding=1),
    "threes, stride 2": conv((2, 5, 4, 3), (5, 3, 2, 3), stride=2, padding=1),
    "depthwise": conv((1, 5, 4, 3), (6, 3, 3, 1), groups=3, padding=1),
}
"""What every test run goes through, by the smallest tiles and sums in two pieces; --exhaustive, by every plan."""

EVERYTHING = SOME | CASES | TILED | {
    "dense": conv((20, 1, 1, 72), (24, 1, 1, 72)),
    "1x1": conv((2, 5, 9, 32), (40, 1, 1, 32)),
    "more than a tile of everything": conv((2, 13, 11, 40), (136, 3, 3, 40), padding=1),
    "first layer": conv((2, 15, 14, 3), (16, 7, 7, 3), stride=2, padding=3),
    "channels by eights in groups": conv((2, 8, 7, 32), (32, 3, 3, 8), groups=4, padding=1, dilation=2),
}  # fmt: skip


@pytest.fixture(params=["forward", pytest.param("warps 1", marks=pytest.mark.exhaustive)])
def on_kernels(request: pytest.FixtureRequest, modules: dict[str, Kernels], monkeypatch: Any) -> None:
    """While in use, kernels run on NumPy arrays, in one order of the threads, and new arrays are full of NaN."""
    schedule = SCHEDULES[request.param]
    monkeypatch.setitem(
        launch.compilers, "numpy",
        lambda kernel, dtype: partial(modules[dtype].get_function(kernel.name), schedule=schedule),
    )  # fmt: skip
    monkeypatch.setattr(np, "empty", poisoned)
    monkeypatch.setattr(sums, "TERMS", 8)  # several pieces of short sums


def tasks(case: Conv, dtype: str, how: numerics.Numerics) -> Iterator[Task]:
    window = {key: value for key, value in case.arguments.items() if key != "groups"}
    for which in PASSES:
        found = task(which, case.x_shape, case.w_shape, how=how, **window)
        yield found._replace(dtype=dtype)


def in_two(found: Sequence[Plan]) -> list[Plan]:
    """Return the plans that take sums in two pieces, where they take them in pieces at all."""
    return [plan for plan in found if dict(plan.options).get("pieces", 2) == 2]


def smallest(found: Sequence[Plan]) -> list[Plan]:
    """Return, of those, the ones with the smallest tiles of their family."""

    def tile(plan: Plan) -> tuple[int, int]:
        options = dict(plan.options)
        return options.get("m", 0) * options.get("n", 0), options.get("m", 0)

    least = {name: min(tile(plan) for plan in found if plan.family == name) for name in {p.family for p in found}}
    return [plan for plan in in_two(found) if tile(plan) == least[plan.family]]


@pytest.mark.usefixtures("on_kernels")
class TestEveryPlan:
    @pytest.mark.parametrize(
        ("name", "mode"),
        [(name, MODES[0]) for name in SOME] + [(next(iter(SOME)), mode) for mode in MODES[1:]],
    )
    def test_is_right(self, name, mode):
        check(SOME[name], *mode, smallest)

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("mode", MODES, ids="-".join)
    @pytest.mark.parametrize("name", EVERYTHING)
    def test_is_right_for_all(self, name, mode):
        check(EVERYTHING[name], *mode, list)


def check(case: Conv, dtype: str, how: Any, some: Callable[[Sequence[Plan]], list[Plan]]) -> None:
    """Compute a case by its plans, and hold it against float64; what exact numerics have as well, by those alone."""
    for found in tasks(case, dtype, how):
        known = set() if how == "exact" else set(plans.candidates(found._replace(numerics="exact")))
        for plan in some(plans.candidates(found)):
            if plan not in known:
                assert_right(found, plan, computed(found, plan))


SAME_ORDER = {"plain", "tiled", "depthwise"}
"""Families that add the terms of a sum in one order, by taps and then channels: whatever the tile, and in as many
pieces, they give the same bits."""


@pytest.mark.usefixtures("on_kernels")
@pytest.mark.parametrize("name", SOME)
def test_plans_with_one_order_of_sums_give_equal_bits(name):
    for found in tasks(SOME[name], "float32", "exact"):
        by_pieces: dict[int, list[tuple[Plan, np.ndarray]]] = {}
        for plan in in_two(plans.candidates(found)):
            if plan.family in SAME_ORDER:
                pieces = dict(plan.options).get("pieces", 1)
                by_pieces.setdefault(pieces, []).append((plan, computed(found, plan)))
        assert sum(map(len, by_pieces.values())) >= 3
        for same in by_pieces.values():
            for plan, result in same[1:]:
                np.testing.assert_array_equal(result, same[0][1], err_msg=f"{plan} and {same[0][0]}, {found}")


@pytest.mark.usefixtures("on_kernels")
@pytest.mark.parametrize("mode", [*MODES[:-1], ("float64", "exact")], ids="-".join)
def test_what_is_wrong_is_found(mode):
    """One term that is left out, of many: more than all roundings together."""
    (found, *_) = tasks(SOME["threes, stride 2"], *mode)
    result, given = computed(found, Plan.of("plain")), inputs(found)
    assert_right(found, Plan.of("plain"), result)
    result[1, 1, 1, 1] -= given["x"][1, 2, 1, 0] * given["w"][1, 1, 0, 0]
    with pytest.raises(AssertionError, match=r"plain: wrong by .* more than is allowed, forward x=2x5x4x3"):
        assert_right(found, Plan.of("plain"), result)
