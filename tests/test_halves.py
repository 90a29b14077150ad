"""Half precisions on NumPy: what the reference stores in 16 bits, it computes in float32."""

from __future__ import annotations

import numpy as np
import pytest
from checks.halves import HALVES
from checks.windows import conv

from gpucnn import ops
from gpucnn.dispatch import recorded
from gpucnn.errors import ArgumentError
from gpucnn.ops.update import sgd_update

CASE = conv((2, 5, 4, 3), (4, 3, 2, 3), stride=2, padding=1)
CALLS = {
    "conv2d": lambda x, w, dy: ops.conv2d(x, w, w[:, 0, 0, 0], **CASE.arguments),
    "conv2d_backward_data": lambda x, w, dy: ops.conv2d_backward_data(dy, w, x.shape, **CASE.arguments),
    "conv2d_backward_weight": lambda x, w, dy: ops.conv2d_backward_weight(x, dy, w.shape, **CASE.arguments),
    "conv2d_backward_bias": lambda x, w, dy: ops.conv2d_backward_bias(dy),
    "dense": lambda x, w, dy: ops.dense(x[0, 0], w[:, 0, 0]),
    "gelu": lambda x, w, dy: ops.gelu(x),
    "add": lambda x, w, dy: ops.add(x, x),
    "avg_pool2d": lambda x, w, dy: ops.avg_pool2d(x, 2),
    "softmax": lambda x, w, dy: ops.softmax(x[0, 0]),
}


SUMS = {"conv2d_backward_weight", "conv2d_backward_bias"}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("name", CALLS)
def test_a_result_is_that_of_float32_rounded_once(name, half):
    y_shape = ops.conv2d_output_shape(CASE.x_shape, CASE.w_shape, **CASE.arguments)
    given = half.numbers(3, CASE.x_shape, CASE.w_shape, y_shape)
    full = CALLS[name](*(x.astype(np.float32) for x in given))
    expected = full if name in SUMS else half.rounded(full)
    np.testing.assert_array_equal(CALLS[name](*given), expected, strict=True)
    decisions = []
    for arrays in (given, [x.astype(np.float32) for x in given]):
        with recorded() as found:
            CALLS[name](*arrays)
        decisions.append([(decision.operation, decision.implementation) for decision in found])
    assert decisions[0] == decisions[1], "halves are computed by what computes float32"


def test_what_is_no_number_of_a_result_stays_as_it_is():
    x = np.array([[1, 3], [2, np.nan]], np.float16).reshape(1, 2, 2, 1)
    y, index = ops.max_pool2d(x, (1, 2))
    assert (y.dtype, index.dtype) == (np.float16, np.uint8)
    np.testing.assert_array_equal(y.ravel(), np.array([3, np.nan]))


def test_what_would_lose_too_much_takes_no_halves():
    half, labels = np.ones((2, 3), np.float16), np.zeros(2, int)
    for call in (
        lambda: ops.cross_entropy(half, labels),
        lambda: ops.batch_norm_train(half, half[0], half[0]),
        lambda: ops.batch_norm_eval(half, half[0], half[0], half[0], half[0]),
    ):
        with pytest.raises(ArgumentError, match="has dtype float16: it must be float32 or float64; convert it first"):
            call()


def test_an_update_in_place_is_refused_before_it_is_lost():
    half = np.ones(3, np.float16)
    with pytest.raises(ArgumentError, match="sgd_update changes its arrays: keep them in float32 or float64"):
        sgd_update([half], [half], None, [True], lr=0.1, momentum=0.0, decay=0.0, nesterov=False)
    np.testing.assert_array_equal(half, 1)
