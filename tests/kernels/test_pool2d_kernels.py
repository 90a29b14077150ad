"""The pooling kernels against the reference in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.windows import Pool
from cushim.expected import reference, sizes

from gpucnn import ops


def pool(x_shape, kernel_size, stride=None, padding=0) -> Pool:
    return Pool(x_shape, kernel_size, {"stride": stride, "padding": padding})


CASES = {
    "one of everything": pool((1, 1, 1, 1), 1),
    "2x2": pool((2, 8, 6, 3), 2),
    "an odd rest": pool((3, 7, 9, 5), 2),
    "overlapping": pool((2, 9, 7, 3), 3, stride=2, padding=1),
    "every input in nine": pool((1, 6, 7, 2), 3, stride=1, padding="same"),
    "gaps": pool((1, 11, 8, 2), (2, 1), stride=(3, 4)),
    "four paddings": pool((1, 6, 5, 2), (4, 3), stride=(3, 2), padding=((3, 0), (1, 2))),
    "more than a block": pool((5, 7, 7, 4), 3, stride=1),
    "taps that fill a byte": pool((1, 17, 15, 1), (17, 15)),
    "taps beyond a byte": pool((1, 18, 17, 1), 16, stride=1),
    "the whole image": pool((2, 5, 7, 3), (5, 7)),
    "no images": pool((0, 4, 4, 2), 2),
}


MEANS = [
    ("sum_pool2d", {}),
    ("avg_pool2d", {"count_include_pad": True}),
    ("avg_pool2d", {"count_include_pad": False}),
]


@pytest.fixture(params=CASES)
def case(request) -> Pool:
    return CASES[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


def scores(case: Pool, dtype: str) -> np.ndarray:
    """Return images of few different values, so that many windows hold their maximum twice."""
    return np.random.default_rng(3).integers(-2, 3, case.x_shape).astype(dtype)


@pytest.mark.usefixtures("on_kernels")
class TestPooling:
    @pytest.mark.parametrize("relu", [False, True])
    def test_max(self, case, dtype, relu):
        x = scores(case, dtype)
        y, index = ops.max_pool2d(x, case.kernel_size, **case.arguments, relu=relu)
        expected = reference(ops.max_pool2d, x, case.kernel_size, **case.arguments, relu=relu)
        np.testing.assert_array_equal(y, expected[0].astype(dtype), strict=True)
        np.testing.assert_array_equal(index, expected[1], strict=True)

    def test_max_backward(self, case, dtype):
        _, index = reference(ops.max_pool2d, scores(case, dtype), case.kernel_size, **case.arguments)
        (dy,) = numbers(1, index.shape, dtype=dtype)
        check(ops.max_pool2d_backward, dy, index, case.x_shape, case.kernel_size, **case.arguments)

    @pytest.mark.parametrize(("name", "options"), MEANS)
    def test_sums_and_means(self, case, dtype, name, options):
        (x,) = numbers(2, case.x_shape, dtype=dtype)
        forward, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
        y = check(forward, x, case.kernel_size, **options, **case.arguments)
        (dy,) = numbers(3, y.shape, dtype=dtype)
        check(backward, dy, case.x_shape, case.kernel_size, **options, **case.arguments)

    def test_global_mean(self, case, dtype):
        (x,) = numbers(4, case.x_shape, dtype=dtype)
        y = check(ops.global_avg_pool2d, x)
        check(ops.global_avg_pool2d_backward, y, case.x_shape)


def check(operation: Any, *given: Any, **options: Any) -> np.ndarray:
    """Return what the operation returns, once it is as near the reference as sums of so many terms come."""
    result = operation(*given, **options)
    expected, size = (of(operation, *given, **options) for of in (reference, sizes))
    terms = 320  # in the largest of the windows; and as many windows that an input lies in
    assert_near(result, expected, given[0].dtype, size, roundings=terms)
    return result


@pytest.mark.usefixtures("on_kernels")
def test_a_window_with_a_nan_and_windows_of_minus_infinity():
    x = np.full((1, 4, 6, 1), -np.inf)
    x[0, 1, 0, 0], x[0, 0, 2, 0], x[0, 3, 5, 0] = np.nan, np.inf, 1
    for padding in (0, 1):
        y, index = ops.max_pool2d(x, 2, padding=padding)
        expected = reference(ops.max_pool2d, x, 2, padding=padding)
        np.testing.assert_array_equal(y, expected[0])
        np.testing.assert_array_equal(index, expected[1])
        assert 4 in index
