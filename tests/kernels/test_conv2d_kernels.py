"""The convolution kernels against the reference in float64, on shapes that are odd, prime or 1."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.windows import Conv, conv
from cushim.expected import reference, sizes

from gpucnn import ops
from gpucnn.cuda import conv2d as kernels
from gpucnn.cuda import sums

CASES = {
    "one of everything": conv((1, 1, 1, 1), (1, 1, 1, 1)),
    "dense": conv((5, 1, 1, 13), (7, 1, 1, 13)),
    "3x3 same": conv((2, 7, 5, 3), (5, 3, 3, 3), padding="same"),
    "more than a block": conv((3, 11, 9, 2), (5, 3, 2, 2)),
    "stride 2": conv((2, 9, 7, 3), (4, 3, 3, 3), stride=2, padding=1),
    "stride 2 to even": conv((1, 8, 8, 2), (3, 3, 3, 2), stride=2, padding="same"),
    "stride 3 by 2": conv((1, 11, 10, 2), (3, 5, 4, 2), stride=(3, 2), padding=(2, 1)),
    "stride beyond the kernel": conv((2, 9, 8, 2), (3, 1, 2, 2), stride=(4, 3)),
    "four paddings": conv((1, 5, 4, 2), (3, 3, 2, 2), padding=((2, 0), (1, 3))),
    "padding beyond the kernel": conv((1, 3, 3, 1), (2, 2, 2, 1), padding=3),
    "dilation": conv((1, 9, 11, 2), (3, 3, 3, 2), dilation=(2, 3), padding=2),
    "dilation and stride, one factor": conv((1, 13, 12, 2), (3, 4, 3, 2), stride=(4, 2), dilation=(2, 4), padding=3),
    "dilation prime to stride": conv((1, 13, 14, 1), (2, 3, 4, 1), stride=(2, 3), dilation=(3, 2), padding=(1, 2)),
    "kernel as large as the image": conv((3, 5, 4, 3), (7, 5, 4, 3)),
    "groups": conv((2, 5, 6, 6), (9, 3, 2, 2), groups=3, stride=(1, 2), padding=1),
    "depthwise": conv((2, 7, 6, 5), (5, 3, 3, 1), groups=5, padding=1),
    "depthwise times 3, stride 2": conv((1, 7, 9, 3), (9, 3, 2, 1), groups=3, stride=2, padding=((1, 2), (0, 1))),
    "depthwise, strided": conv((1, 9, 8, 2), (4, 3, 3, 1), groups=2, stride=(2, 3), dilation=(3, 2), padding=2),
    "no images": conv((0, 5, 5, 2), (3, 3, 3, 2)),
}


@pytest.fixture(params=CASES)
def case(request) -> Conv:
    return CASES[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


TILED = {
    "fours": conv((2, 5, 7, 8), (12, 3, 3, 8), padding=1),
    "more than a tile": conv((3, 7, 9, 4), (68, 2, 1, 4)),
    "rows beyond the last tile": conv((1, 13, 11, 20), (5, 1, 1, 20)),
    "fours in groups, stride 2": conv((1, 8, 9, 8), (16, 3, 2, 4), groups=2, stride=2, padding=1),
}
"""What can go wrong with tiles: channels by fours, and more rows, columns or terms than a tile has."""

TILED |= {
    name: CASES[name]
    for name in (
        "stride 3 by 2",
        "stride beyond the kernel",
        "four paddings",
        "dilation and stride, one factor",
        "kernel as large as the image",
        "groups",
        "no images",
    )
}


@pytest.fixture(params=[(64, "float32"), (128, "float32"), (64, "float64")], ids=str)
def tiled_dtype(request, monkeypatch) -> str:
    """While in use, products are computed by tiles of one size, be they as small as they may, in this dtype."""
    size, dtype = request.param
    monkeypatch.setattr(kernels, "tile_size", lambda rows, columns, products: size)
    return dtype


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


def off_by_one(array: np.ndarray) -> np.ndarray:
    """Return a copy that starts one element behind a multiple of 16 bytes."""
    memory = np.zeros(array.size + 5, array.dtype)
    start = (-memory.ctypes.data % 16) // array.itemsize + 1
    view = memory[start : start + array.size].reshape(array.shape)
    view[...] = array
    return view


@pytest.mark.parametrize(
    ("rows", "columns", "products", "size"),
    [
        (10_000, 64, 1, 64),
        (10_000, 128, 1, 64),
        (100_000, 128, 1, 128),
        (2_000, 512, 4, 128),
        (100_000, 10, 1, None),
        (8, 512, 1, None),
        (100, 100, 70_000, None),
    ],
)
def test_which_tiles_are_chosen(rows, columns, products, size):
    assert kernels.tile_size(rows, columns, products) == size


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
