"""All gradients of a dense layer by one kernel, against the reference in float64, and the layer that asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.halves import Half
from checks.plans import forced
from cushim.expected import reference
from oracles import dense

from gpucnn import ops
from gpucnn.cuda import dense_gradients
from gpucnn.dispatch import recorded
from gpucnn.layers.base import Parameter
from gpucnn.layers.behind import Kept
from gpucnn.layers.dense import Dense
from gpucnn.ops.activation import RELU, Function

pytestmark = pytest.mark.usefixtures("on_kernels")

FUNCTIONS = [
    None,
    RELU,
    Function("leaky_relu", (("slope", 0.3),), "x"),
    Function("elu", (("alpha", 0.7),)),
    Function("sigmoid", reads="y"),
    Function("tanh", reads="y"),
    Function("scaled_tanh", reads="y"),
]
"""None, and all that tell their slope by their output."""

SHAPES = [(0, 3, 2), (1, 1, 1), (67, 33, 5), (5, 3, 7), (33, 5, 36)]
"""Images, features, outputs: none, one part and several, columns and outputs that fill no block, tile or four."""


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute together whatever the estimates say."""
    monkeypatch.setattr(dense_gradients, "is_faster", lambda data: True)


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


def given(shape: tuple[int, int, int], numbers: Any) -> list[Any]:
    """Return x, dy, w, and outputs of an activation on both sides of 0, none of which is 0."""
    n, c, k = shape
    x, dy, w, v = numbers((n, c), (n, k), (k, c), (n, k))
    return [x, dy, w, np.tanh(v.astype(np.float32)).astype(v.dtype)]


def expected(x: Any, dy: Any, w: Any, y: Any, function: Function | None) -> list[tuple[Any, Any]]:
    """Return dx, dw and db in float64, and of each the sum of its terms' absolute values."""
    wide = np.float64(dy)
    g = wide if function is None else reference(function.backward, wide, (np.float64(y), np.float64(y)))
    calls = ((dense.backward_data, g, w), (dense.backward_weight, x, g), (dense.backward_bias, g))
    return [(oracle(*arrays), oracle(*map(abs, arrays))) for oracle, *arrays in calls]


CASES = [*((shape, None) for shape in SHAPES), *(((35, 3, 5), function) for function in FUNCTIONS[1:])]


@pytest.mark.parametrize(("shape", "function"), CASES)
def test_all_gradients_at_once(shape, function, dtype):
    x, dy, w, y = given(shape, lambda *shapes: numbers(21, *shapes, dtype=dtype))
    kept = None if function is None else (y, y)
    with recorded() as decisions:
        found = ops.dense_gradients(x, dy, w, True, function, kept)
    assert [d.operation for d in decisions] == ["dense_gradients"]
    for actual, (right, size), terms in zip(
        found, expected(x, dy, w, y, function), (*shape[::-2], shape[0]), strict=True
    ):
        assert_near(actual, right, dtype, size, roundings=terms + 8)
    *_, db = ops.dense_gradients(x, dy, w, False, function, kept)
    assert db is None


def test_halves(half: Half):
    """What is dx is rounded once; g, behind the activation, is not; dw and db are float32."""
    for shape, function in ((SHAPES[4], None), ((35, 3, 5), FUNCTIONS[5])):
        x, dy, w, y = given(shape, lambda *shapes: half.numbers(22, *shapes))
        found = ops.dense_gradients(x, dy, w, True, function, None if function is None else (y, y))
        for actual, (right, size), stored in zip(
            found, expected(x, dy, w, y, function), (True, False, False), strict=True
        ):
            half.assert_near(actual, right, size, roundings=shape[0] + 8, stored=stored)


@pytest.mark.parametrize(("dtype", "most"), [("float32", 128), ("float64", 64)])
def test_as_many_outputs_as_there_is_room_for(dtype, most):
    x, dy, w, y = given((2, 3, most), lambda *shapes: numbers(23, *shapes, dtype=dtype))
    found = ops.dense_gradients(x, dy, w, True)
    for actual, (right, size) in zip(found, expected(x, dy, w, y, None), strict=True):
        assert_near(actual, right, dtype, size, roundings=most + 2)
    assert dense_gradients.most_outputs(dtype) == most


def test_dx_has_the_bits_of_the_plain_kernel(dtype):
    """Terms are added in one order. Of one part, dw has them too."""
    x, dy, w, _ = given((30, 33, 10), lambda *shapes: numbers(24, *shapes, dtype=dtype))
    dx, dw, _ = ops.dense_gradients(x, dy, w, True)
    with forced("plain"):
        np.testing.assert_array_equal(dx, ops.dense_backward_data(dy, w))
        np.testing.assert_array_equal(dw, ops.dense_backward_weight(x, dy))


def test_a_layer_adds_to_its_gradients():
    """By what came before an activation, too, which leaves the kernel nothing to tell the slope by: then apart."""
    x, dy, w, y = given((67, 33, 10), lambda *shapes: numbers(25, *shapes, dtype="float32"))
    layer = Dense(10)
    for saved, operations in (
        (x, ["dense_gradients"]),
        (Kept(x, RELU, (y, y)), ["dense_gradients"]),
        (
            Kept(x, Function("silu"), (y, y)),
            ["silu_backward", "sum_rows", "dense_backward_weight", "dense_backward_data"],
        ),
    ):
        layer.params = {"w": Parameter(w), "b": Parameter(w[:, 0], decay=False)}
        with recorded() as decisions:
            dx = layer.backward(dy, saved)
        once = [p.grad for p in layer.params.values()]
        assert [d.operation for d in decisions] == operations
        np.testing.assert_array_equal(layer.backward(dy, saved), dx)
        for p, grad in zip(layer.params.values(), once, strict=True):
            np.testing.assert_array_equal(p.grad, 2 * grad)
