"""The convolution kernels against the reference in float64, on shapes that are odd, prime or 1."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.convolutions import CASES, TILED, off_by_one
from checks.plans import forced
from checks.windows import Conv
from cushim.expected import reference, sizes

from gpucnn import ops
from gpucnn.cuda import sums


@pytest.fixture(params=CASES)
def case(request) -> Conv:
    return CASES[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


@pytest.fixture(params=[(64, "float32"), (128, "float32"), (64, "float64")], ids=str)
def tiled_dtype(request) -> Iterator[str]:
    """While in use, products are computed by tiles of one size, be they as small as they may, in this dtype."""
    size, dtype = request.param
    with forced("tiled", m=size):
        yield dtype


def arrays(case: Conv, dtype: str) -> list[np.ndarray]:
    """Return x, w, b, dy."""
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    return numbers(7, case.x_shape, case.w_shape, case.w_shape[:1], y_shape, dtype=dtype)


def check_forward(case: Conv, dtype: str, with_bias: bool) -> None:
    x, w, b, _ = arrays(case, dtype)
    given = (x, w, b if with_bias else None)
    y = ops.conv2d(*given, **case.arguments)
    expected, size = (of(ops.conv2d, *given, **case.arguments) for of in (reference, sizes))
    assert_near(y, expected, dtype, size, roundings=np.prod(case.w_shape[1:]) + 2)


def check_backward_data(case: Conv, dtype: str) -> None:
    _, w, _, dy = arrays(case, dtype)
    given = (dy, w, case.x_shape)
    dx = ops.conv2d_backward_data(*given, **case.arguments)
    expected, size = (of(ops.conv2d_backward_data, *given, **case.arguments) for of in (reference, sizes))
    assert_near(dx, expected, dtype, size, roundings=np.prod(case.w_shape[:3]) + 1)


def check_backward_weight(case: Conv, dtype: str) -> None:
    x, _, _, dy = arrays(case, dtype)
    given = (x, dy, case.w_shape)
    dw = ops.conv2d_backward_weight(*given, **case.arguments)
    expected, size = (of(ops.conv2d_backward_weight, *given, **case.arguments) for of in (reference, sizes))
    assert_near(dw, expected, dtype, size, roundings=np.prod(dy.shape[:3]) + 1)


@pytest.mark.usefixtures("on_kernels")
class TestConvolution:
    def test_forward(self, case, dtype):
        check_forward(case, dtype, with_bias=True)
        check_forward(case, dtype, with_bias=False)

    def test_backward_data(self, case, dtype):
        check_backward_data(case, dtype)

    def test_backward_weight(self, case, dtype):
        check_backward_weight(case, dtype)


@pytest.mark.usefixtures("on_kernels")
@pytest.mark.parametrize("name", TILED)
class TestTiles:
    def test_forward(self, name, tiled_dtype):
        check_forward(TILED[name], tiled_dtype, with_bias=True)

    def test_backward_data(self, name, tiled_dtype):
        check_backward_data(TILED[name], tiled_dtype)

    def test_backward_weight(self, name, tiled_dtype, monkeypatch):
        monkeypatch.setattr(sums, "TERMS", 40)  # several parts
        check_backward_weight(TILED[name], tiled_dtype)


@pytest.mark.usefixtures("on_kernels")
def test_arrays_that_do_not_start_on_16_bytes(tiled_dtype):
    """Such as a part of a larger array: tiles cannot be read four elements at a time, and are not."""
    case = TILED["fours in groups, stride 2"]
    x, w, _, dy = (off_by_one(array) for array in arrays(case, tiled_dtype))
    for operation, *given in [
        (ops.conv2d, x, w),
        (ops.conv2d_backward_data, dy, w, case.x_shape),
        (ops.conv2d_backward_weight, x, dy, case.w_shape),
    ]:
        expected, size = (of(operation, *given, **case.arguments) for of in (reference, sizes))
        assert_near(operation(*given, **case.arguments), expected, tiled_dtype, size, roundings=100)


@pytest.mark.usefixtures("on_kernels")
@pytest.mark.parametrize("name", ["fours", "groups"])
def test_outputs_of_either_alignment(name, tiled_dtype, monkeypatch):
    """Four elements are written at once where a row of the output is aligned, one by one elsewhere: the same ones."""
    case, aligned = TILED[name], np.empty

    def computed() -> list[np.ndarray]:
        x, w, b, dy = arrays(case, tiled_dtype)
        return [
            ops.conv2d(x, w, b, **case.arguments),
            ops.conv2d_backward_data(dy, w, case.x_shape, **case.arguments),
            ops.conv2d_backward_weight(x, dy, case.w_shape, **case.arguments),
        ]

    expected = computed()
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: off_by_one(aligned(shape, dtype)))
    for actual, wanted in zip(computed(), expected, strict=True):
        assert actual.ctypes.data % 16 != 0
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.usefixtures("on_kernels")
def test_a_long_sum_is_taken_in_parts(monkeypatch):
    """The weight gradient's sum over 2*7*5 outputs in 3 parts, the last of them shorter."""
    monkeypatch.setattr(sums, "TERMS", 24)
    assert sums.parts_of(70, 135) == 3
    case = CASES["3x3 same"]
    x, _, _, dy = arrays(case, "float64")
    dw = ops.conv2d_backward_weight(x, dy, case.w_shape, **case.arguments)
    expected = reference(ops.conv2d_backward_weight, x, dy, case.w_shape, **case.arguments)
    np.testing.assert_allclose(dw, expected, rtol=1e-12)


@pytest.mark.usefixtures("on_kernels")
class TestDense:
    @pytest.mark.parametrize("sizes_", [(1, 1, 1), (5, 13, 7), (19, 3, 31)])
    @pytest.mark.parametrize("with_bias", [True, False])
    def test_all_passes(self, sizes_, dtype, with_bias):
        images, features, outputs = sizes_
        x, w, b, dy = numbers(8, (images, features), (outputs, features), (outputs,), (images, outputs), dtype=dtype)
        for operation, *given in [
            (ops.dense, x, w, b if with_bias else None),
            (ops.dense_backward_data, dy, w),
            (ops.dense_backward_weight, x, dy),
        ]:
            expected, size = (of(operation, *given) for of in (reference, sizes))
            assert_near(operation(*given), expected, dtype, size, roundings=max(sizes_) + 2)


@pytest.mark.usefixtures("on_kernels")
def test_inputs_of_any_layout():
    """What a kernel cannot read as it lies is copied: every second channel of x, and dy from the last image on."""
    case = CASES["stride 2"]
    x, w, _, dy = arrays(case, "float64")
    apart, turned = np.repeat(x, 2, axis=3)[..., ::2], dy[::-1].copy()[::-1]
    dw = ops.conv2d_backward_weight(apart, turned, case.w_shape, **case.arguments)
    np.testing.assert_array_equal(dw, ops.conv2d_backward_weight(x, dy, case.w_shape, **case.arguments))
    assert ops.conv2d(apart, w, **case.arguments).flags.c_contiguous
