"""The kernels that compute element by element: activations, dropout, optimizers; and sums and the finite check."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from cushim.expected import reference, sizes

from gpucnn import dispatch, ops
from gpucnn.cuda import launch, sums
from gpucnn.layers.base import Parameter
from gpucnn.ops import activation
from gpucnn.ops.finite import count_nonfinite
from gpucnn.ops.loss_scale import adapt_loss_scale
from gpucnn.ops.sums import sum_rows
from gpucnn.ops.update import adagrad_update, adam_update, sgd_update
from gpucnn.optimizers.adam import Adam
from gpucnn.random import Stream
from gpucnn.rates import adam_numbers, plain_numbers

ACTIVATIONS: list[tuple[str, dict[str, float]]] = [
    *((name.removesuffix("_backward"), {}) for name in dir(activation) if name.endswith("_backward")),
    ("leaky_relu", {"slope": 0.3}),
    ("elu", {"alpha": 0.7}),
]
"""Every activation that there is, with its defaults, and those that take a number."""

SHAPES = [(1,), (257,), (3, 7, 5, 3), (0, 4)]

pytestmark = pytest.mark.usefixtures("on_kernels")


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


@pytest.mark.parametrize(("name", "options"), ACTIVATIONS)
def test_activations(name, options, dtype):
    """All is computed in the kernel's precision, by functions that are good to a few units in the last place.

    Their arguments and results are of size 3 at most, so that 32 roundings are ample.
    """
    function, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    for shape in SHAPES:
        x, dy = numbers(4, shape, shape, dtype=dtype)
        y = function(x, **options)
        assert_near(y, reference(function, x, **options), dtype, abs(np.float64(x)) + 1, roundings=32)
        dx = backward(dy, x, y, **options)
        size = abs(np.float64(dy)) * (abs(np.float64(x)) + 1)
        assert_near(dx, reference(backward, dy, x, y, **options), dtype, size, roundings=32)


@pytest.mark.parametrize(("name", "options"), ACTIVATIONS)
def test_activations_of_what_is_far_out_or_no_number(name, options):
    x = np.array([-1e4, -100.0, -0.0, 0.0, 100.0, 1e4, np.nan])
    function = getattr(ops, name)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(function(x, **options), reference(function, x, **options), rtol=1e-14, atol=1e-40)


@pytest.mark.parametrize("shape", SHAPES)
def test_add(shape, dtype):
    a, b = numbers(14, shape, shape, dtype=dtype)
    np.testing.assert_array_equal(ops.add(a, b), a + b, strict=True)


@pytest.mark.parametrize(("seed", "start"), [(0, 0), (2**40 + 5, 0), (0, 7)])
def test_dropout_is_the_same_bit_for_bit(dtype, seed, start):
    stream, rate = Stream(seed, "3.dropout", 41), 0.3
    for shape in SHAPES:
        x, dy = numbers(5, shape, shape, dtype=dtype)
        y, kept = ops.dropout(x, rate, stream, start=start)
        expected = (stream.uniform(shape, start=start) >= rate).astype(np.uint8)
        factors = expected * x.dtype.type(1 / (1 - rate))
        np.testing.assert_array_equal(kept, expected, strict=True)
        np.testing.assert_array_equal(y, x * factors, strict=True)
        np.testing.assert_array_equal(ops.dropout_backward(dy, kept, rate), dy * factors, strict=True)


def test_dropout_of_a_step_that_only_the_device_knows(dtype):
    (x,) = numbers(5, (3, 17), dtype=dtype)
    for impl in ("auto", "reference"):
        with dispatch.using(impl):
            known, told = (Stream(7, "a", 41), Stream(7, "a", 9, now=np.array([41], np.int32)))
            assert_same(list(ops.dropout(x, 0.4, told)), list(ops.dropout(x, 0.4, known)))


def test_the_scale_of_a_loss():
    """Halved and counted where something was found, doubled after three good steps in a row, exactly."""
    scale, counts = np.array([8], np.float32), np.array([0, 5], np.int32)
    expected = [(8, 1, 5), (8, 2, 5), (16, 0, 5), (16, 1, 5), (8, 0, 6), (4, 0, 7), (4, 1, 7)]
    for found, (new, good, skipped) in zip((0, 0, 0, 0, 3, 1, 0), expected, strict=True):
        adapt_loss_scale(scale, counts, np.array([found], np.int32), 3)
        assert (*scale, *counts) == (new, good, skipped)
    adapt_loss_scale(scale, counts, np.array([1], np.int32), 3, stopped=np.array([1], np.int32))
    assert (*scale, *counts) == expected[-1]


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd(momentum, nesterov, decay, dtype):
    options = {"lr": 0.3, "momentum": momentum, "nesterov": nesterov, "decay": decay}
    compare_steps(sgd_update, dtype, 1 if momentum else 0, lambda step: options)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam(decoupled, decay, dtype):
    options = {"lr": 0.3, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "decay": decay, "decoupled": decoupled}
    compare_steps(adam_update, dtype, 2, lambda step: options | {"step": step})


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adagrad(decay, dtype):
    compare_steps(adagrad_update, dtype, 1, lambda step: {"lr": 0.3, "eps": 1e-3, "decay": decay})


def compare_steps(update: Any, dtype: str, slots: int, options: Callable[[int], dict[str, Any]]) -> None:
    """Take three steps from the same weights by the kernel and by the reference, which must end up together.

    Of arrays of many sizes, each at another place behind a multiple of 16 bytes, some exempt from decay.
    """
    shapes = [(3, 97), (1,), (0, 4), (2048,), (2049,), (3, 3, 2, 1), (257,)]
    decayed = [True, False, True, False, True, True, False]
    values, *grads = ([shifted(x, i) for i, x in enumerate(numbers(6 + k, *shapes, dtype=dtype))] for k in range(4))
    actual = [values, *([np.zeros_like(x) for x in values] for _ in range(slots))]
    expected = [[x.copy() for x in arrays] for arrays in actual]
    missing = [None] * (not slots)  # SGD's velocities
    for step, grad in enumerate(grads):
        update(actual[0], grad, *actual[1:], *missing, decayed, **options(step))
        with dispatch.using("reference"):
            update(expected[0], grad, *expected[1:], *missing, decayed, **options(step))
    eps = np.finfo(dtype).eps
    for got, wanted in zip(chain(*actual), chain(*expected), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=64 * eps, atol=16 * eps)


UPDATES: dict[Any, tuple[dict[str, Any], Callable[[float, int], tuple[float, ...]]]] = {
    sgd_update: ({"momentum": 0.9, "nesterov": True, "decay": 0.1}, lambda lr, step: plain_numbers(lr)),
    adam_update: (
        {"beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "decay": 0.1, "decoupled": True},
        lambda lr, step: adam_numbers(lr, step, 0.8, 0.95, 0.1, decoupled=True),
    ),
    adagrad_update: ({"eps": 1e-3, "decay": 0.1}, lambda lr, step: plain_numbers(lr)),
}
"""Each update with options, and what it computes from a learning rate and a step."""


@pytest.mark.parametrize("update", UPDATES)
def test_what_a_step_reads_from_the_device(update, dtype):
    """Numbers give the bits of lr and step, skip leaves all as it is, unscale divides: by kernel and by reference."""
    options, numbers_of = UPDATES[update]
    shapes, lr, step = [(3, 97), (5,)], 0.3, 4
    arrays = [numbers(6 + k, *shapes, dtype=dtype) for k in range(2 + (2 if update is adam_update else 1))]
    arrays[2:] = [[abs(x) for x in slot] for slot in arrays[2:]]
    row, wrong = np.array(numbers_of(lr, step), dtype), {"lr": 9.0} | ({"step": 99} if update is adam_update else {})
    right = {"lr": lr} | ({"step": step} if update is adam_update else {})
    scale, flag = np.array([1024], np.float32), np.array([0], np.int32)
    large = [[x * x.dtype.type(1024) for x in arrays[1]] if i == 1 else slot for i, slot in enumerate(arrays)]

    def stepped(given: list[list[np.ndarray]], **more: Any) -> list[np.ndarray]:
        lists = [[x.copy() for x in slot] for slot in given]
        update(*lists, [True, False], **options, **more)
        return [x for i, slot in enumerate(lists) if i != 1 for x in slot]

    before = [x for i, slot in enumerate(arrays) if i != 1 for x in slot]
    for impl in ("auto", "reference"):
        with dispatch.using(impl):
            expected = stepped(arrays, **right)
            assert_same(stepped(arrays, **wrong, numbers=row), expected)
            assert_same(stepped(large, **right, unscale=scale, skip=flag), expected)
            assert_same(stepped(arrays, **right, skip=flag + 3), before)


def assert_same(actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Fail unless two lists of arrays are equal to the last bit."""
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def shifted(x: np.ndarray, places: int) -> np.ndarray:
    """Return a view of the same numbers, so many elements behind the start of its memory."""
    memory = np.concatenate([np.zeros(places, x.dtype), x.reshape(-1)])
    return memory[places:].reshape(x.shape)


@pytest.mark.parametrize("half", [None, np.float16])
def test_all_parameters_are_updated_by_one_launch(monkeypatch, half):
    """And half copies, where there are some."""
    launched = []
    compiler = launch.compilers["numpy"]
    monkeypatch.setitem(launch.compilers, "numpy", lambda k, dtype: launched.append(k.name) or compiler(k, dtype))
    optimizer = Adam()
    params = {str(i): Parameter(x, grad=x.copy()) for i, x in enumerate(numbers(6, (3,), (5, 700), dtype="float32"))}
    params["1"].half = half and params["1"].value.astype(half)
    optimizer.build(params)
    optimizer.update(params, lr=0.1, step=0)
    assert launched == ["adam_update"]


@pytest.mark.parametrize("shape", [(1, 1), (13, 300), (2, 3, 5, 7), (1031, 3), (0, 3)])
def test_sum_rows(shape, dtype, monkeypatch):
    monkeypatch.setattr(sums, "TERMS", 100)
    (x,) = numbers(8, shape, dtype=dtype)
    expected, size = (of(sum_rows, x) for of in (reference, sizes))
    assert_near(sum_rows(x), expected, dtype, size, roundings=x.size // shape[-1] + 1)


def test_finite_check(dtype):
    good, bad = numbers(9, (3, 101), (777,), dtype=dtype)
    good[0, 0] = np.finfo(dtype).max
    assert count_nonfinite(good) == [0]
    bad[[0, 1, 255, 256, 776]] = np.nan, np.inf, -np.inf, np.nan, np.inf
    assert count_nonfinite(good, bad, np.zeros((0, 3), dtype)) == [5]
