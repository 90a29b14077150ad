"""Half precisions on NumPy: what the reference stores in 16 bits, it computes in float32."""

from __future__ import annotations

import numpy as np
import pytest
from checks.halves import HALVES
from checks.windows import conv

from gpucnn import dispatch, ops
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


@pytest.fixture
def by_the_reference():
    with dispatch.using("reference"):
        yield


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
    with pytest.raises(ArgumentError, match="has dtype float16: it must be float32 or float64; convert it first"):
        ops.cross_entropy(half, labels)
    with pytest.raises(ArgumentError, match=r"\(x float16, gamma float16\): gamma must be float32"):
        ops.batch_norm_train(half, half[0], half[0])


@pytest.mark.usefixtures("by_the_reference")
def test_what_is_kept_beside_halves_is_float32():
    """Batch norm: y and dx are rounded, its statistics and its parameters' gradients are not."""
    x, dy = HALVES["float16"].numbers(5, (7, 3, 4), (7, 3, 4))
    gamma, beta = np.linspace(0.5, 1.5, 8, dtype=np.float32).reshape(2, 4)
    y, mean, var, saved = ops.batch_norm_train(x, gamma, beta)
    wide = x.astype(np.float32)
    expected_y, expected_mean, expected_var, expected_saved = ops.batch_norm_train(wide, gamma, beta)
    assert saved.x is x
    found = (y, mean, var, *saved[1:], *ops.batch_norm_backward(dy, saved))
    dx, dgamma, dbeta = ops.batch_norm_backward(dy.astype(np.float32), expected_saved)
    expected = (expected_y, expected_mean, expected_var, *expected_saved[1:], dx, dgamma, dbeta)
    for one, other, rounded in zip(found, expected, [True, *[False] * 5, True, False, False], strict=True):
        np.testing.assert_array_equal(one, other.astype(np.float16) if rounded else other, strict=True)
    still = ops.batch_norm_eval(x, gamma, beta, mean, var)
    np.testing.assert_array_equal(still, ops.batch_norm_eval(wide, gamma, beta, mean, var).astype(np.float16))


def test_an_update_in_place_is_refused_before_it_is_lost():
    half = np.ones(3, np.float16)
    with pytest.raises(ArgumentError, match="changes its arrays: keep them in float32 or float64, not halves"):
        sgd_update([half], [half], None, [True], lr=0.1, momentum=0.0, decay=0.0, nesterov=False)
    np.testing.assert_array_equal(half, 1)
