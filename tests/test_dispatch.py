"""Which implementation of an operation runs, why, and that all of `gpucnn.ops` goes through the one dispatcher."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from gpucnn import dispatch, ops
from gpucnn.dispatch import NotApplicable, composition, operation, recorded, using
from gpucnn.errors import ArgumentError

X = np.array([-1.0, 2.0])


@pytest.fixture
def faster(monkeypatch):
    """A room with another relu for NumPy arrays, which takes float64 alone."""
    module = types.ModuleType("room.activation")

    def relu(x):
        if x.dtype != np.float64:
            raise NotApplicable(f"float64 only, not {x.dtype}")
        return np.full_like(x, 7)

    module.relu = relu
    package = types.ModuleType("room")
    package.__path__ = []
    module.__spec__ = types.SimpleNamespace(name="room.activation")
    monkeypatch.setitem(sys.modules, "room", package)
    monkeypatch.setitem(sys.modules, "room.activation", module)
    monkeypatch.setitem(dispatch.ROOMS, "numpy", "room")
    dispatch._find.cache_clear()
    yield
    dispatch._find.cache_clear()


def test_the_faster_implementation_runs_where_it_applies(faster):
    with recorded() as decisions:
        assert ops.relu(X).tolist() == [7, 7]
        assert ops.relu(X.astype(np.float32)).tolist() == [0, 2]
        assert ops.tanh(np.zeros(1)).tolist() == [0]
    assert [(d.operation, d.implementation, d.reason) for d in decisions] == [
        ("relu", "room", ""),
        ("relu", "reference", "float64 only, not float32"),
        ("tanh", "reference", "there is no faster one for numpy arrays"),
    ]


def test_reference_is_always_the_reference(faster):
    with using("reference"), recorded() as decisions:
        assert ops.relu(X).tolist() == [0, 2]
    assert decisions[0].reason == "impl is reference"
    assert ops.relu(X).tolist() == [7, 7]  # the choice ends with the block


def test_fast_is_an_error_where_only_the_reference_is_left(faster):
    with using("fast"):
        assert ops.relu(X).tolist() == [7, 7]
        with pytest.raises(ArgumentError, match=r"impl is fast, but relu .* float64 only, not float32"):
            ops.relu(X.astype(np.float32))


def test_the_choice_ends_with_an_error(faster):
    with pytest.raises(ArgumentError), using("fast"):
        ops.tanh(X)
    assert ops.tanh(np.zeros(1)).tolist() == [0]


def test_an_unknown_choice_is_refused():
    with pytest.raises(ArgumentError, match=r"impl \(='quick'\) must be one of auto, reference, fast"), using("quick"):
        pass


def test_array_arguments_by_name_are_seen(faster):
    assert ops.relu(x=X).tolist() == [7, 7]


def test_arrays_in_lists_are_seen(monkeypatch):
    other = types.ModuleType("cupy")
    other.ndarray = type("ndarray", (), {})
    monkeypatch.setitem(sys.modules, "cupy", other)
    seen = []

    @dispatch.operation
    def update(values, others):
        seen.append(values)

    with recorded() as decisions:
        update([X], [])
        update(values=[other.ndarray()], others=None)
    assert [d.reason for d in decisions] == [f"there is no faster one for {name} arrays" for name in ("numpy", "cupy")]
    assert len(seen) == 2


def test_arrays_of_different_modules_are_named(monkeypatch):
    other = types.ModuleType("cupy")
    other.ndarray = type("ndarray", (), {"dtype": np.dtype(float), "ndim": 4, "shape": (1, 1, 1, 1)})
    monkeypatch.setitem(sys.modules, "cupy", other)
    with pytest.raises(ArgumentError, match=r"different modules \(x numpy, w cupy\)"):
        ops.conv2d(np.zeros((1, 1, 1, 1)), other.ndarray())


COMPOSED = {
    "avg_pool2d": "sum_pool2d",
    "avg_pool2d_backward": "sum_pool2d_backward",
    "conv2d_backward_bias": "sum_rows",
    "dense_backward_bias": "sum_rows",
}
"""Public operations that are another one with other arguments."""

APART = {"conv2d_output_shape", "pool2d_output_shape", "add_activation_backward"}
"""What computes nothing, and what calls one operation or none."""


@pytest.mark.parametrize("name", sorted(set(ops.__all__) - APART))
def test_every_public_operation_is_dispatched(name):
    module = sys.modules[getattr(ops, name).__module__]
    inner = COMPOSED.get(name, name)
    core = getattr(module, f"_{inner}", None) or getattr(module, inner)
    dispatched = operation(len).__code__, composition(len).__code__
    assert core.__code__ in dispatched, f"{name} goes neither through @operation nor through @composition"


def test_a_composition_is_the_operations_in_it_where_no_room_has_it():
    """Each of them is dispatched, and with `fast` none of them is missed."""

    def relu_twice(x):
        return ops.relu(ops.relu(x))

    relu_twice.__module__ = "gpucnn.ops.activation"
    composed = composition(relu_twice)
    x = np.array([-1.0, 2.0], np.float32)
    with using("fast"), recorded() as decisions:
        assert composed(x).tolist() == [0, 2]
    assert [(d.operation, d.implementation) for d in decisions] == 2 * [("relu", "gpucnn.cpu")]


def test_a_composition_is_computed_at_once_where_a_room_has_it(monkeypatch):
    from gpucnn.cpu import activation

    def refused_once(x):
        calls.append(x)
        if len(calls) == 1:
            raise NotApplicable("not yet")
        return "at once"

    calls = []
    monkeypatch.setattr(activation, "one_by_one", refused_once, raising=False)

    def one_by_one(x):
        return ops.relu(x)

    one_by_one.__module__ = "gpucnn.ops.activation"
    composed, x = composition(one_by_one), np.ones(2, np.float32)
    with recorded() as decisions:
        assert composed(x).tolist() == [1, 1]
        assert composed(x) == "at once"
        with using("reference"):
            assert composed(x).tolist() == [1, 1]
    assert [(d.operation, d.implementation) for d in decisions] == [
        ("relu", "gpucnn.cpu"),
        ("one_by_one", "gpucnn.cpu"),
        ("relu", "reference"),
    ]
    assert len(calls) == 2
