"""Backward data that adds another gradient of the same input at its end, family by family."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, numbers, unchanged
from checks.convolutions import off_by_one
from checks.halves import Half
from checks.orders import ONE_ORDER
from checks.plans import forced
from checks.windows import Conv, conv
from cushim.expected import reference, sizes

from gpucnn import ops
from gpucnn.cuda import plans
from gpucnn.cuda.plans import Plan
from gpucnn.dispatch import recorded
from gpucnn.errors import ShapeError

pytestmark = [
    pytest.mark.usefixtures("on_kernels"),
    pytest.mark.parametrize("on_kernels", ONE_ORDER, indirect=True),
]
"""Each thread adds what stands where it writes: no order of theirs is another."""

GROUPS = conv((2, 5, 7, 6), (10, 3, 2, 3), stride=(2, 1), padding=1, groups=2)
LARGE = conv((1, 9, 8, 20), (6, 3, 3, 20), padding=1)
APART = conv((2, 6, 7, 12), (9, 1, 1, 12), stride=(2, 3))  # there are pixels that no output sees
UNEVEN = conv((1, 7, 4, 70), (5, 1, 1, 70), stride=2)
DEPTHWISE = conv((1, 9, 6, 3), (3, 3, 3, 1), groups=3, stride=2, padding=1)
FEW = conv((1, 5, 6, 10), (3, 3, 2, 10), padding=1)

FAMILIES = [
    *((GROUPS, family) for family in ("plain", "tiled 64x64", "mma 64x64")),
    *((LARGE, family) for family in ("tiled 128x128", "mma 64x64")),
    *((APART, family) for family in ("plain", "tiled 64x64", "mma 64x64", "pointwise 64x64", "pointwise 128x128")),
    (UNEVEN, "pointwise 64x64"),
    *((DEPTHWISE, family) for family in ("depthwise", "sliding")),
    *((case, "band") for case in (FEW, APART, UNEVEN)),
]


def by(family: str):
    """Compute by a family while entered, with these sides of tiles."""
    plan = Plan.read(family)
    return forced(plan.family, **dict(plan.options))


def shapes(case: Conv) -> list[tuple[int, ...]]:
    """Return those of dy, w and z."""
    return [ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments), case.w_shape, case.x_shape]


def terms(case: Conv) -> int:
    """Return how many roundings an element may have, those of tensor cores among them."""
    return 9 * int(np.prod(case.w_shape[:3])) + 16


@pytest.mark.parametrize(("case", "family"), FAMILIES, ids=str)
def test_it_is_added_by_the_same_launch_to_the_bits_of_a_sum(case, family):
    dy, w, z = numbers(45, *shapes(case), dtype="float32")
    with by(family), plans.recorded() as chosen, recorded() as decisions:
        dx = unchanged(ops.conv2d_backward_data, dy, w, case.x_shape, z, **case.arguments)
        alone = ops.conv2d_backward_data(dy, w, case.x_shape, **case.arguments)
    assert [decision.operation for decision in decisions] == ["conv2d_backward_data_added", "conv2d_backward_data"]
    assert {plan.family for _, plan in chosen} == {family.partition(" ")[0]}
    np.testing.assert_array_equal(dx, alone + z)
    expected, size = (
        of(ops.conv2d_backward_data, dy, w, case.x_shape, z, **case.arguments) for of in (reference, sizes)
    )
    assert_near(dx, expected, "float32", size, terms(case))


@pytest.mark.parametrize("place", [np.asarray, off_by_one])
def test_halves_are_rounded_once(half: Half, place, monkeypatch):
    """Also where arrays do not start on 16 bytes."""
    aligned = np.empty
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: place(aligned(shape, dtype)))
    for case, family in FAMILIES[::2]:
        dy, w, z = map(place, half.numbers(46, *shapes(case)))
        with by(family):
            dx = ops.conv2d_backward_data(dy, w, case.x_shape, z, **case.arguments)
        expected, size = (
            of(ops.conv2d_backward_data, dy, w, case.x_shape, z, **case.arguments) for of in (reference, sizes)
        )
        half.assert_near(dx, expected, size, terms(case))


def test_float64():
    for case in (GROUPS, LARGE, APART):
        dy, w, z = numbers(47, *shapes(case), dtype="float64")
        dx = ops.conv2d_backward_data(dy, w, case.x_shape, z, **case.arguments)
        expected, size = (
            of(ops.conv2d_backward_data, dy, w, case.x_shape, z, **case.arguments) for of in (reference, sizes)
        )
        assert_near(dx, expected, "float64", size, terms(case))


def test_what_cannot_be_added_is_told():
    dy, w, z = numbers(48, *shapes(APART), dtype="float32")
    with pytest.raises(ShapeError, match=r"z has shape \(2, 6, 7, 11\): to be added to dx it must be \(2, 6, 7, 12\)"):
        ops.conv2d_backward_data(dy, w, APART.x_shape, z[..., :11], **APART.arguments)
