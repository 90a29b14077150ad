"""A convolution and its batch norm at once against the two, one after the other, by the references in float64."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import held, layouts, numbers, seeds, unchanged
from checks.windows import conv
from hypothesis import example, given
from hypothesis import strategies as st

from gpucnn import numerics, ops
from gpucnn.cpu import compiled
from gpucnn.dispatch import recorded, using
from gpucnn.ops.activation import RELU

CASES = {
    "1x1": conv((2, 9, 7, 20), (33, 1, 1, 20)),
    "rows of 64 and more": conv((2, 6, 9, 33), (18, 3, 3, 33), 2, 1),
    "first layer": conv((3, 9, 11, 3), (32, 3, 3, 3), padding=1),
    "Winograd's": conv((2, 9, 10, 16), (16, 3, 3, 16), padding=1),
    "Winograd's, 5x5": conv((2, 9, 10, 16), (40, 5, 5, 16), padding=2),
    "depthwise": conv((2, 9, 11, 40), (40, 3, 3, 1), padding=1, groups=40),
    "depthwise, few channels": conv((2, 9, 3, 5), (5, 3, 3, 1), 2, 1, 1, 5),
    "of parts: dilated columns": conv((2, 9, 11, 3), (4, 3, 3, 3), 1, 1, 2),
    "of parts: grouped": conv((2, 5, 6, 8), (6, 3, 3, 4), groups=2),
    "of parts: two kernels a channel": conv((2, 5, 6, 4), (8, 3, 3, 1), groups=4),
    "past the caches": conv((70, 17, 32, 16), (48, 1, 1, 16)),
}


@given(st.sampled_from(sorted(CASES)), st.booleans(), st.booleans(), st.sampled_from(["fast", "exact"]), seeds, layouts)
@example("past the caches", True, True, "exact", 0, "C order")
@example("Winograd's", True, True, "fast", 0, "C order")
def test_it_is_the_two(label, relu, bias, kind, seed, layout):
    case = CASES[label]
    k = case.w_shape[:1]
    x, w, *rest = numbers(seed, case.x_shape, case.w_shape, *[k] * 5, dtype=np.float32)
    b, gamma, beta, mean, root = rest
    norm, b = (gamma, beta, mean, root**2 + np.float32(0.5), 1e-3), b if bias else None
    with numerics.using(kind):
        y = unchanged(
            ops.conv2d_batch_norm_eval, held(x, layout), w, b, norm, function=RELU if relu else None, **case.arguments
        )
    assert y.flags.c_contiguous
    assert y.dtype == np.float32
    exact = [None if array is None else np.float64(array) for array in (x, w, b)]
    with using("reference"):
        expected = ops.batch_norm_eval(ops.conv2d(*exact, **case.arguments), *map(np.float64, norm))
        size = ops.conv2d(abs(exact[0]), abs(exact[1]), **case.arguments).max()
    scale = float(np.abs(gamma / np.sqrt(norm[3])).max())
    atol = 2e-5 * (size + 2 * np.abs(rest).max()) * scale + 1e-5
    np.testing.assert_allclose(y, np.maximum(expected, 0) if relu else expected, rtol=0, atol=atol)
    if relu:
        assert (y >= 0).all()


@pytest.mark.parametrize("label", CASES)
def test_it_is_computed_at_once_where_loops_are_compiled(label):
    pytest.importorskip("numba")
    case = CASES[label]
    x, w, one = (np.ones(shape, np.float32) for shape in (case.x_shape, case.w_shape, case.w_shape[:1]))
    norm = (one, one, one, one, 1e-5)
    for way in (True, False):
        with recorded() as decisions, compiled.using(way):
            ops.conv2d_batch_norm_eval(x, w, None, norm, function=RELU, **case.arguments)
        at_once = way and not label.startswith("of parts")
        parts = ["conv2d", "batch_norm_activation_eval"] if way else ["conv2d", "batch_norm_eval", "relu"]
        assert [decision.operation for decision in decisions] == (["conv2d_batch_norm_eval"] if at_once else parts)


def test_what_is_no_number_stays_none():
    pytest.importorskip("numba")
    one, x = np.ones(16, np.float32), np.full((1, 4, 4, 16), np.nan, np.float32)
    for case in ((16, 1, 1, 16), (16, 3, 3, 16), (16, 3, 3, 1)):
        arguments = {"groups": 16 // case[3], "padding": case[1] // 2}
        w, norm = np.ones(case, np.float32), (one, one, one, one, 0.1)
        y = ops.conv2d_batch_norm_eval(x, w, None, norm, function=RELU, **arguments)
        assert np.isnan(y).all()
