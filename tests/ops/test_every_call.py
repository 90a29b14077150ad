"""The checks that run on a GPU, on NumPy and on CuPy's stand-in: so that they are known to be right, and to fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from checks import calls
from checks.calls import CALLS, LARGE, LAYOUTS, Call, check, conv_calls
from cushim import cupy_stand_in

from gpucnn import ops
from gpucnn.backend import Device

APART = {"conv2d_output_shape", "pool2d_output_shape", "conv2d_gradients", "dense_gradients"}
"""Computes nothing, and what is computed by kernels or not at all."""


def test_every_operation_is_called():
    assert {call.name for call in CALLS} == set(ops.__all__) - APART


def test_calls_have_names_of_their_own():
    names = [str(call) for call in (*CALLS, *conv_calls(LARGE))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_call_on_numpy(dtype):
    for i, call in enumerate(CALLS):
        check(call, Device("cpu"), "auto", dtype, list(LAYOUTS)[i % len(LAYOUTS)])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_call_as_on_a_gpu(layout, monkeypatch):
    """By the references, on arrays that do not mix with NumPy's."""
    cupy_stand_in.install(monkeypatch)
    for call in CALLS:
        check(call, Device("cuda"), "reference", "float32", layout)


def test_layouts_hold_the_same_values():
    x = np.arange(24).reshape(2, 3, 4)
    views = {layout: calls.placed(x, Device("cpu"), layout) for layout in LAYOUTS}
    for view in views.values():
        np.testing.assert_array_equal(view, x)
    assert len({view.strides for view in views.values()}) == len(LAYOUTS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda dense, x, w, b: dense(x, w, b) * 1.01, "wrong by up to"),
        (lambda dense, x, w, b: dense(x, w, b).astype(np.float64), None),
        (lambda dense, x, w, b: dense(x, w, b)[0], None),
        (lambda dense, x, w, b: dense(x, w, b) * float("nan"), "not a number"),
        (lambda dense, x, w, b: dense(x, w, b) + np.float32(np.random.default_rng().random()), "another result"),
        (lambda dense, x, w, b: dense(np.multiply(x, 1 + 1e-6, out=x), w, b), "argument 0 was changed"),
    ],
)
def test_what_is_wrong_is_seen(monkeypatch, wrong: Any, message: str | None):
    """Wrong in float32 alone, that is: not where the expected result comes from."""
    right = ops.dense

    def dense(x: Any, w: Any, b: Any) -> Any:
        return wrong(right, x, w, b) if x.dtype == np.float32 else right(x, w, b)

    monkeypatch.setattr(ops, "dense", dense)
    call = Call("dense", "", (np.ones((3, 2)), np.ones((2, 2)), np.ones(2)), terms=4, linear=True)
    with pytest.raises(AssertionError, match=message):
        check(call, Device("cpu"), "auto", "float32")
    check(call, Device("cpu"), "auto", "float64")
