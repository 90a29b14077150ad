"""Kernels for small and special shapes, family by family: against the reference in float64, and bits against plain."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.convolutions import CASES, TILED, off_by_one
from checks.halves import Half
from checks.plans import forced
from checks.windows import Conv, conv
from cushim.expected import reference, sizes

from gpucnn import ops
from gpucnn.cuda import plans
from gpucnn.cuda.plans import Plan, Task

pytestmark = pytest.mark.usefixtures("on_kernels")

BANDS = {
    "first layer": conv((2, 9, 11, 3), (10, 3, 3, 3), padding=1),
    "first layer, 7x7, stride 2": conv((2, 15, 12, 1), (9, 7, 7, 1), stride=2, padding=3),
    "more than a stretch": conv((1, 6, 7, 16), (16, 3, 3, 16), padding=1),
    "more than a tile, stride 2 by 1": conv((1, 22, 15, 4), (40, 3, 2, 4), stride=(2, 1), padding=((0, 2), (1, 0))),
    "dilation": conv((1, 9, 11, 5), (5, 3, 2, 5), dilation=(2, 3), padding=((2, 4), (3, 1))),
    "more kernels than a block has": conv((1, 4, 5, 8), (84, 1, 2, 8)),
    "padding beyond the kernel": conv((1, 3, 3, 1), (2, 2, 2, 1), padding=3),
}
SLIDING = {
    "3x3": conv((2, 9, 11, 5), (5, 3, 3, 1), groups=5, padding=1),
    "3x3, stride 2": conv((1, 12, 7, 34), (34, 3, 3, 1), groups=34, stride=2, padding=((0, 1), (1, 2))),
    "3x3 times 2": conv((1, 5, 8, 3), (6, 3, 3, 1), groups=3),
    "5x5": conv((1, 8, 7, 6), (6, 5, 5, 1), groups=6, padding=2),
    "5x5, stride 2": conv((2, 11, 9, 3), (3, 5, 5, 1), groups=3, stride=2, padding=(4, 2)),
    "more than a strip": conv((1, 19, 5, 2), (2, 3, 3, 1), groups=2, padding=1),
}
POINTWISE = {
    "1x1": conv((3, 5, 7, 8), (68, 1, 1, 8)),
    "1x1 by threes": conv((1, 13, 11, 3), (5, 1, 1, 3)),
    "1x1, stride 2 by 3": conv((1, 9, 8, 12), (5, 1, 1, 12), stride=(2, 3)),
}
OF = {
    "band": BANDS,
    "band_weight": BANDS,
    "sliding": SLIDING,
    "pointwise 64x64": POINTWISE,
    "pointwise 128x128": POINTWISE,
}
PASSES = [(family, name) for family, cases in OF.items() for name in cases]


@pytest.fixture
def ran(monkeypatch) -> list[Plan]:
    """The plans that are carried out while in use."""
    found: list[Plan] = []
    families = plans.families()

    def compute(task: Task, arrays: plans.Arrays) -> None:
        found.append(plans.chosen(task))
        families[found[-1].family].run(found[-1], task, arrays)

    monkeypatch.setattr("gpucnn.cuda.conv2d.compute", compute)
    return found


def by(family: str) -> AbstractContextManager[None]:
    """Compute by a family while entered, with these sides of tiles."""
    plan = Plan.read(family)
    return forced(plan.family, **dict(plan.options))


def passes(case: Conv, arrays: list[np.ndarray]) -> dict[str, tuple[Any, ...]]:
    """Return each pass's operation and arguments, for x, w, b and dy."""
    x, w, b, dy = arrays
    return {
        "forward": (ops.conv2d, x, w, b),
        "backward_data": (ops.conv2d_backward_data, dy, w, case.x_shape),
        "backward_weight": (ops.conv2d_backward_weight, x, dy, case.w_shape),
    }


def terms(case: Conv, which: str) -> int:
    """Return of how many products an element of a pass is a sum, at most, and a bias."""
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    shape = {"forward": case.w_shape[1:], "backward_data": case.w_shape[:3], "backward_weight": y_shape[:3]}[which]
    return int(np.prod(shape)) + 2


def shapes(case: Conv) -> list[tuple[int, ...]]:
    """Return those of x, w, b and dy."""
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    return [case.x_shape, case.w_shape, case.w_shape[:1], y_shape]


@pytest.mark.parametrize(("family", "name"), PASSES)
def test_passes(family, name, ran):
    case = OF[family][name]
    for which, (operation, *given) in passes(case, numbers(7, *shapes(case), dtype="float32")).items():
        with by(family):
            actual = operation(*given, **case.arguments)
        expected, size = (of(operation, *given, **case.arguments) for of in (reference, sizes))
        assert_near(actual, expected, "float32", size, roundings=terms(case, which))
        if ran[-1].family in family and which != "backward_weight":
            with forced("plain"):
                np.testing.assert_array_equal(operation(*given, **case.arguments), actual)
    assert any(plan.family in family for plan in ran)


@pytest.mark.parametrize(("family", "name"), [(family, next(iter(cases))) for family, cases in OF.items()])
def test_halves(family, name, half: Half):
    case = OF[family][name]
    for which, (operation, *given) in passes(case, half.numbers(7, *shapes(case))).items():
        with by(family):
            actual = operation(*given, **case.arguments)
        expected, size = (of(operation, *given, **case.arguments) for of in (reference, sizes))
        half.assert_near(actual, expected, size, terms(case, which), stored=which != "backward_weight")


@pytest.mark.parametrize(("family", "name"), [("band", "more than a stretch"), ("sliding", "3x3, stride 2")])
def test_arrays_that_do_not_start_on_16_bytes(family, name, half: Half, monkeypatch):
    case, aligned = OF[family][name], np.empty
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: off_by_one(aligned(shape, dtype)))
    given = [off_by_one(array) for array in half.numbers(7, *shapes(case))]
    for which, (operation, *arrays) in passes(case, given).items():
        with by(family):
            actual = operation(*arrays, **case.arguments)
        expected, size = (of(operation, *arrays, **case.arguments) for of in (reference, sizes))
        half.assert_near(actual, expected, size, terms(case, which), stored=which != "backward_weight")


GRADIENTS = {
    "sixteen": conv((1, 6, 7, 16), (16, 3, 3, 16), padding=1),
    "more than a tile, dilation": conv((1, 17, 19, 12), (6, 3, 2, 12), padding=((1, 2), (0, 1)), dilation=(2, 1)),
    "threes": conv((2, 7, 6, 3), (5, 2, 3, 3)),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_both_gradients_at_once(name):
    case = GRADIENTS[name]
    x, w, b, dy, z = numbers(7, *shapes(case), case.x_shape, dtype="float32")
    with forced("band_backward"):
        both = ops.conv2d_gradients(x, dy, w, **case.arguments)
        with_z = ops.conv2d_gradients(x, dy, w, z, **case.arguments)
    for which, actual in zip(("backward_data", "backward_weight"), both, strict=True):
        operation, *given = passes(case, [x, w, b, dy])[which]
        expected, size = (of(operation, *given, **case.arguments) for of in (reference, sizes))
        assert_near(actual, expected, "float32", size, roundings=terms(case, which))
    for added, one in zip(with_z, (both[0] + z, both[1]), strict=True):
        np.testing.assert_array_equal(added, one)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", CASES | TILED)
@pytest.mark.parametrize("family", ["band", "band_weight", "sliding", "pointwise"])
def test_every_plan_of_a_family(family, name):
    case = (CASES | TILED)[name]
    for which, (operation, *given) in passes(case, numbers(7, *shapes(case), dtype="float32")).items():
        expected, size = (of(operation, *given, **case.arguments) for of in (reference, sizes))
        for plan in every(family, operation, given, case):
            with plans.using(lambda task, plan=plan: plan):
                actual = operation(*given, **case.arguments)
            assert_near(actual, expected, "float32", size, roundings=terms(case, which))


def every(family: str, operation: Any, given: list[Any], case: Conv) -> list[Plan]:
    """Return all plans of a family for a pass."""
    found: list[Plan] = []

    def choose(task: Task) -> None:
        found.extend(plan for plan in plans.candidates(task) if plan.family in family)

    with plans.using(choose):
        operation(*given, **case.arguments)
    return found
