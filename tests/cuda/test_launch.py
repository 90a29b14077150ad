"""What is checked before a kernel is launched, and what reaches it. Nothing is compiled here."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in

from gpucnn.cuda import launch as room
from gpucnn.cuda.geometry import Whole, geometry
from gpucnn.cuda.launch import blocks, launch
from gpucnn.dispatch import NotApplicable
from gpucnn.errors import ArgumentError

G = geometry((1, 1, 1, 4), 4, Whole((1, 1)))


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What launches of kernels over NumPy arrays were asked for."""
    calls: list[tuple[Any, ...]] = []

    def compiler(kernel, dtype):
        return lambda grid, block, args, **options: calls.append((kernel.name, dtype, grid, block, args, options))

    monkeypatch.setitem(room.compilers, "numpy", compiler)
    return calls


def sum_rows(grid=(1, 1), **changes: Any) -> None:
    x, parts = np.ones((3, 4), np.float32), np.zeros((1, 4), np.float32)
    launch("sum_rows", grid, **{"x": x, "parts": parts, "rows": 3, "columns": 4} | changes)


def conv2d(**changes: Any) -> None:
    x, w, y = np.ones((1, 1, 1, 4)), np.ones((4, 1, 1, 4)), np.ones((1, 1, 1, 4))
    ending = {"z": None, "scale": None, "shift": None, "function": -1, "a": 0.0}
    launch("conv2d_forward", (1,), **{"x": x, "w": w, "b": None, "y": y, "g": G} | ending | changes)


def test_arguments_arrive_in_order_and_in_the_declared_types(launched):
    sum_rows(grid=(2, 3), rows=np.int64(3))
    ((name, dtype, grid, block, args, options),) = launched
    assert (name, dtype, grid, block, options) == ("sum_rows", "float32", (2, 3), (256,), {"shared_mem": 0})
    assert [type(value) for value in args] == [np.ndarray, np.ndarray, np.int32, np.int32]


def test_blocks_may_have_other_threads_and_more_shared_memory(launched):
    x = np.ones(3, np.float32)
    launch("add", (2,), block=128, shared=64, left=x, right=x, y=x.copy(), count=3, function=0, a=0.0)
    assert launched[0][2:4] == ((2,), (128,))
    assert launched[0][5] == {"shared_mem": 64}


def test_a_dtype_that_a_kernel_is_not_compiled_for_is_refused(launched, monkeypatch):
    found = room.kernels()["add"]
    monkeypatch.setattr(room, "kernels", lambda: {"add": replace(found, dtypes=("float16",))})
    x = np.ones(3, np.float32)
    with pytest.raises(ArgumentError, match="kernel add: dtype float32 must be one of float16"):
        launch("add", (1,), left=x, right=x, y=x.copy(), count=3, function=0, a=0.0)
    assert not launched


def test_numbers_have_the_precision_of_the_sums(launched):
    for dtype in (np.float32, np.float64):
        x = np.ones(3, dtype)
        launch("activation_forward", (1,), x=x, y=x.copy(), count=3, function=1, a=0.5)
        assert type(launched[-1][4][4]) is dtype


def test_an_array_that_may_be_missing_is_a_null_pointer(launched):
    conv2d()
    assert launched[0][4][2] == 0
    assert launched[0][4][2].itemsize == 8


def test_an_input_of_another_layout_is_copied(launched):
    sum_rows(x=np.arange(12, dtype=np.float32).reshape(4, 3).T)
    x = launched[0][4][0]
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x, np.arange(12).reshape(4, 3).T)


def test_nothing_is_launched_where_there_is_nothing_to_do(launched):
    sum_rows(grid=blocks(0))
    assert not launched


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 2**31}, "kernel sum_rows, argument rows: 2147483648 is no int32"),
        ({"rows": 2.5}, "kernel sum_rows, argument rows: 2.5 is no int32"),
        ({"parts": np.zeros((1, 4))}, "kernel sum_rows, argument parts: must be an array of float32, got float64"),
        ({"parts": np.zeros((4, 2), np.float32).T}, r"argument parts: is written to, but has strides \(4, 8\)"),
        ({"parts": np.broadcast_to(np.float32(0), (1, 4))}, "is written to"),
        ({"parts": None}, "argument parts: must be an array of float32, got None"),
        ({"x": np.ones((3, 4), np.int16)}, "dtype int16 must be one of float16, bfloat16, float32, float64"),
        ({"x": [1.0]}, "expected a NumPy or CuPy array, got list"),
        ({"colums": 3}, r"kernel sum_rows: takes \(x, parts, rows, columns\), got \(x, parts, rows, columns, colums\)"),
        ({"x": np.zeros(17, np.uint8)[1:].view(np.float32)}, "argument x: its address is no multiple of 4 bytes"),
        ({"grid": (1, 70000)}, r"grid \(1, 70000\) is larger than \(8388605, 65535, 65535\)"),
        ({"grid": (2**24,)}, "larger than"),
    ],
)
def test_what_does_not_fit_is_refused(launched, changes, message):
    with pytest.raises(ArgumentError, match=message):
        sum_rows(**changes)
    assert not launched


def test_a_read_only_output_is_refused(launched):
    parts = np.zeros((1, 4), np.float32)
    parts.setflags(write=False)
    with pytest.raises(ArgumentError, match="argument parts: is written to, but the array is read-only"):
        sum_rows(parts=parts)


def sgd_update(**changes: Any) -> None:
    given = {"values": [np.ones(3), np.ones(2)], "grads": [np.ones(3), np.ones(2)], "velocities": None}
    numbers: dict[str, Any] = {"lr": 0.1, "momentum": 0, "decay": 0, "nesterov": 0}
    numbers |= {"numbers": None, "skip": None, "unscale": None, "copies": None}
    launch("sgd_update", (1,), **given | numbers | {"chunks": np.zeros((1, 4), np.int32)} | changes)


def test_lists_of_arrays_arrive_as_lists(launched):
    transposed = np.ones((2, 3)).T
    sgd_update(values=[np.ones((3, 2)), np.ones(2)], grads=[transposed, np.ones(2)])
    values, grads, velocities = launched[0][4][:3]
    assert [array.shape for array in values] == [(3, 2), (2,)]
    assert [array.flags.c_contiguous for array in grads] == [True, True]
    assert velocities == 0


def test_one_of_a_list_may_be_missing(launched):
    """Where the list may be; the others tell what the kernel is compiled for."""
    single, half = [np.ones(3, np.float32), np.ones(2, np.float32)], np.ones(2, np.float16)
    sgd_update(values=single, grads=single, copies=[None, half])
    assert launched[0][:2] == ("sgd_update", "float16")
    assert launched[0][4][-1][0] is None
    assert launched[0][4][-1][1] is half
    with pytest.raises(ArgumentError, match=r"argument grads\[1\]: must be an array of float32, got None"):
        sgd_update(values=single, grads=[single[0], None])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": [np.ones(3), np.ones(2, np.float32)]}, r"argument values\[1\]: must be an array of float64, got f"),
        ({"values": [np.ones(3), np.ones((2, 3)).T]}, r"argument values\[1\]: is written to, but has strides"),
        ({"values": np.ones(3)}, "argument values: must be a list of arrays, got ndarray"),
        ({"values": None}, "argument values: must be a list of arrays, got NoneType"),
    ],
)
def test_lists_that_do_not_fit_are_refused(launched, changes, message):
    with pytest.raises(ArgumentError, match=message):
        sgd_update(**changes)
    assert not launched


def test_a_structure_must_be_that_structure(launched):
    with pytest.raises(ArgumentError, match="kernel conv2d_forward, argument g: must be one Window structure, got 3"):
        conv2d(g=3)
    with pytest.raises(ArgumentError, match="must be one Window structure"):
        conv2d(g=np.stack([G, G]))


def test_an_array_beyond_what_kernels_count_is_left_to_the_reference(launched):
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2**31, 1), (0, 0))
    with pytest.raises(NotApplicable, match="argument x: has 2,147,483,648 elements, kernels count to 2,147,482,624"):
        sum_rows(x=huge)


def test_numpy_arrays_are_refused_outside_of_tests():
    with pytest.raises(ArgumentError, match="kernel sum_rows: x is a numpy array: kernels take CuPy arrays"):
        sum_rows()


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """CuPy's stand-in; kernels over its arrays do nothing."""
    return cupy_stand_in.install(monkeypatch, lambda kernel, dtype: lambda *args, **options: None)


def test_host_and_device_arrays_do_not_mix(cupy):
    message = "kernel sum_rows: arrays must be on one device, got x cupy on <CUDA Device 0>, parts numpy on cpu"
    with pytest.raises(ArgumentError, match=message):
        sum_rows(x=cupy.ones((3, 4), np.float32))


def test_arrays_of_a_device_that_is_not_the_current_one_are_refused(cupy, monkeypatch):
    x, parts = cupy.ones((3, 4), np.float32), cupy.ones((1, 4), np.float32)
    sum_rows(x=x, parts=parts)
    monkeypatch.setattr(cupy, "cuda", SimpleNamespace(Device=lambda: cupy_stand_in.Device(1)))
    message = (
        "kernel sum_rows: x is on <CUDA Device 0>, the current device is <CUDA Device 1>: enter the array's device"
    )
    with pytest.raises(ArgumentError, match=message):
        sum_rows(x=x, parts=parts)
