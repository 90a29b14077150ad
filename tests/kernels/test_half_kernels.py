"""Kernels on halves: stored in 16 bits, summed in float32, against the reference in float64 of the same halves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.convolutions import CASES, TILED, off_by_one
from checks.halves import Half
from checks.orders import ONE_ORDER
from checks.plans import forced
from checks.probe import TOGETHER, copied, some_floats, wrong_roundings
from checks.windows import Conv, conv
from cushim.expected import reference, sizes

from gpucnn import ops
from gpucnn.cuda import launch, sums
from gpucnn.ops.cast import narrowed, store, widened
from gpucnn.ops.sums import sum_rows
from gpucnn.ops.update import adagrad_update, adam_update, sgd_update
from gpucnn.random import Stream

pytestmark = pytest.mark.usefixtures("on_kernels")

EIGHTS = {
    "eights": conv((2, 5, 7, 16), (24, 3, 3, 16), padding=1),
    "eights in groups, stride 2": conv((1, 8, 9, 16), (32, 3, 2, 8), groups=2, stride=2, padding=1),
    "fours that are no eights": conv((2, 5, 4, 12), (20, 2, 3, 12), padding=1),
    "a long sum": conv((1, 5, 6, 64), (8, 5, 5, 64)),
}
"""Where a thread reads eight halves at once, where it must not, and where a sum of halves would be far off."""


SUMS = (ops.conv2d_backward_weight, ops.conv2d_backward_bias, ops.dense_backward_weight, ops.dense_backward_bias)
"""Whose results are gradients of parameters: float32."""


@pytest.fixture(params=[("plain", {}), ("tiled", {"m": 64}), ("tiled", {"m": 128})], ids=str)
def tiles(request) -> Iterator[None]:
    """While in use, products are computed by tiles of one size, or by none."""
    family, options = request.param
    with forced(family, **options):
        yield


def check(half: Half, operation, *given, roundings: int, **arguments) -> None:
    expected, size = (of(operation, *given, **arguments) for of in (reference, sizes))
    actual = operation(*given, **arguments)
    half.assert_near(actual, expected, size, roundings, stored=operation not in SUMS)


def check_passes(case: Conv, half: Half, placed=lambda x: x) -> None:
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    x, w, b, dy = map(placed, half.numbers(7, case.x_shape, case.w_shape, case.w_shape[:1], y_shape))
    taps, positions = np.prod(case.w_shape[1:]), np.prod(y_shape[:3])
    check(half, ops.conv2d, x, w, b, roundings=taps + 2, **case.arguments)
    check(half, ops.conv2d, x, w, None, roundings=taps + 2, **case.arguments)
    met = np.prod(case.w_shape[:3]) + 1
    check(half, ops.conv2d_backward_data, dy, w, case.x_shape, roundings=met, **case.arguments)
    check(half, ops.conv2d_backward_weight, x, dy, case.w_shape, roundings=positions + 1, **case.arguments)
    check(half, ops.conv2d_backward_bias, dy, roundings=positions + 1)


@pytest.mark.parametrize("name", CASES)
def test_convolution(name, half):
    check_passes(CASES[name], half)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("on_kernels", ONE_ORDER, indirect=True)
@pytest.mark.parametrize("name", TILED | EIGHTS)
def test_convolution_by_tiles(name, half, monkeypatch):
    monkeypatch.setattr(sums, "TERMS", 40)  # several parts
    check_passes((TILED | EIGHTS)[name], half)


@pytest.mark.usefixtures("tiles")
def test_arrays_that_do_not_start_on_16_bytes(half):
    check_passes(EIGHTS["eights in groups, stride 2"], half, off_by_one)


@pytest.mark.usefixtures("tiles")
def test_outputs_that_do_not_start_on_16_bytes(half, monkeypatch):
    """The rows of such an output are written one half at a time."""
    aligned = np.empty
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: off_by_one(aligned(shape, dtype)))
    check_passes(EIGHTS["eights in groups, stride 2"], half)


@pytest.mark.parametrize("lengths", [(1, 1, 1), (5, 13, 7), (19, 3, 31), (33, 40, 24)])
def test_dense(lengths, half):
    images, features, outputs = lengths
    x, w, b, dy = half.numbers(8, (images, features), (outputs, features), (outputs,), (images, outputs))
    for operation, *given in [
        (ops.dense, x, w, b),
        (ops.dense_backward_data, dy, w),
        (ops.dense_backward_weight, x, dy),
        (ops.dense_backward_bias, dy),
    ]:
        check(half, operation, *given, roundings=max(lengths) + 2)


def test_sums_that_a_half_could_not_hold():
    """In float16 a sum of ones stops at 2048, and from 65520 on a product is infinite; neither is stored here."""
    ones = np.ones((1, 4096), np.float16)
    assert ops.dense(ones, ones)[0, 0] == 4096
    large, signs = np.full((1, 2), 300, np.float16), np.array([[300, -299]], np.float16)
    assert ops.dense(large, signs)[0, 0] == 300
    assert ops.dense(large, large)[0, 0] == np.inf


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "sigmoid", "tanh", "scaled_tanh", "softplus", "elu", "gelu", "silu"]
)
@pytest.mark.parametrize("shape", [(1,), (257,), (3, 7, 5, 3), (0, 4)])
def test_activations(name, shape, half):
    x, dy = half.numbers(4, shape, shape)
    function, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    y = function(x)
    half.assert_near(y, reference(function, x), abs(np.float64(x)) + 1, roundings=32)
    size = abs(np.float64(dy)) * (abs(np.float64(x)) + 1)
    half.assert_near(backward(dy, x, y), reference(backward, dy, x, y), size, roundings=32)


def test_add(half):
    a, b = half.numbers(14, (3, 7, 5, 3), (3, 7, 5, 3))
    check(half, ops.add, a, b, roundings=1)


POOLS = [
    {"kernel_size": 1},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": ((1, 0), (0, 1))},
    {"kernel_size": 3, "stride": 2, "padding": 1},
]


@pytest.mark.parametrize("options", POOLS, ids=str)
@pytest.mark.parametrize("x_shape", [(1, 1, 1, 1), (2, 7, 5, 3), (1, 11, 6, 17)])
def test_pooling(options, x_shape, half):
    if min(x_shape[1:3]) == 1 and options["kernel_size"] != 1:
        options = options | {"padding": 1, "kernel_size": 2}
    (x,) = half.numbers(5, x_shape)
    y, index = ops.max_pool2d(x, **options)
    expected, places = reference(ops.max_pool2d, x, **options)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, places)
    (dy,) = half.numbers(6, y.shape)
    dx, wanted, size = (
        of(ops.max_pool2d_backward, given, index, x_shape, **options)
        for of, given in ((called, dy), (reference, dy), (reference, abs(dy)))
    )
    half.assert_near(dx, wanted, size, roundings=9)
    check(half, ops.avg_pool2d, x, roundings=11, **options)
    check(half, ops.avg_pool2d_backward, dy, x_shape, roundings=11, **options)
    check(half, ops.sum_pool2d, x, roundings=11, **options)
    check(half, ops.global_avg_pool2d, x, roundings=np.prod(x_shape[1:3]) + 2)


def called(operation, *given, **arguments):
    return operation(*given, **arguments)


@pytest.mark.parametrize("shape", [(1, 1), (3, 10), (8, 33)])
def test_softmax(shape, half):
    x, dy = half.numbers(10, shape, shape)
    y, expected = ops.softmax(x), reference(ops.softmax, x)
    half.assert_near(y, expected, abs(expected) + 1, roundings=shape[-1] + 32)
    size = abs(np.float64(dy)).sum(axis=-1, keepdims=True) + np.zeros(shape)
    half.assert_near(
        ops.softmax_backward(dy, y), reference(ops.softmax_backward, dy, y), size, roundings=shape[-1] + 32
    )


@pytest.mark.parametrize("shape", [(2, 1), (2, 5, 7, 3), (67, 33)])
def test_batch_norm(shape, half, monkeypatch):
    """Halves of mean 5 and deviation 1: what is kept beside them is float32, wrong by the rounding of few sums."""
    monkeypatch.setattr(sums, "TERMS", 16)
    channels, rows = shape[-1:], np.prod(shape[:-1])
    x, dy = half.numbers(12, shape, shape)
    x = half.rounded(x.astype(np.float32) + 5)
    gamma, beta = numbers(13, channels, channels, dtype=np.float32)
    y, mean, var, saved = ops.batch_norm_train(x, gamma, beta, 1e-3)
    expected, mean_expected, var_expected, kept = reference(ops.batch_norm_train, x, gamma, beta, 1e-3)
    for one, other in ((mean, mean_expected), (var, var_expected), (saved.inverse, kept.inverse)):
        assert_near(one, other, np.float32, 32, roundings=rows + 32)
    half.assert_near(y, expected, size=256, roundings=8)  # 8 eps in x, times 1 / sqrt(eps) = 32 at most
    given = type(saved)(x, *(array.astype(np.float32) for array in kept[1:]))
    dx, dgamma, dbeta = ops.batch_norm_backward(dy, given)
    expected = reference(ops.batch_norm_backward, dy, type(saved)(*map(np.float64, given)))
    half.assert_near(dx, expected[0], size=256, roundings=rows + 32)
    for one, other in zip((dgamma, dbeta), expected[1:], strict=True):
        assert_near(one, other, np.float32, 64, roundings=rows + 32)
    still = ops.batch_norm_eval(x, gamma, beta, mean, var + 1, 1e-3)
    half.assert_near(still, reference(ops.batch_norm_eval, x, gamma, beta, mean, var + 1, 1e-3), 32, roundings=8)


def test_every_half_is_read_exactly(half):
    """What a kernel's sum of one element is: every finite half and both infinities."""
    x = half.every()
    with np.errstate(invalid="ignore"):  # of a NaN that signals
        x = x[~np.isnan(x)]
    parts = np.full((1, x.size), np.nan, np.float32)
    launch.launch("sum_rows", sums.strips(x.size, 1), x=x[None], parts=parts, rows=1, columns=x.size)
    for found in (parts[0], widened(x)):
        np.testing.assert_array_equal(found, x.astype(np.float32), strict=True)
    assert np.isnan(sum_rows(np.array([[np.nan]], half.dtype)))


def test_every_kind_of_float_is_rounded_to_the_nearest_half(half):
    """What is stored: between any two halves a little less and more than the middle, and the middle itself."""
    high = np.arange(2**16, dtype=np.uint32) << 16
    bits = np.concatenate([high | low for low in (0, 1, 0xFFF, 0x1000, 0x1001, 0x3000, 0x7FFF, 0x8000, 0x8001, 0xFFFF)])
    x = bits.view(np.float32)
    with np.errstate(over="ignore"):
        stored, expected = narrowed(x, half.dtype), half.rounded(x)
        np.testing.assert_array_equal(*(array.astype(np.float32) for array in (stored, expected)))


def test_many_arrays_are_stored_at_once_times_a_scale(half):
    x, y = numbers(15, (3, 700), (5,), dtype=np.float32)
    found = [np.full(array.shape, np.nan, half.dtype) for array in (x, y)]
    store([x, y], found, np.array([3], np.float32))
    for array, stored in zip((x, y), found, strict=True):
        np.testing.assert_array_equal(stored, half.rounded(array * np.float32(3)))


UPDATES = {
    sgd_update: {"momentum": 0.9, "nesterov": True, "decay": 0.1},
    adam_update: {"step": 2, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "decay": 0.1, "decoupled": True},
    adagrad_update: {"eps": 1e-3, "decay": 0.1},
}


@pytest.mark.parametrize("update", UPDATES)
def test_an_update_writes_half_copies_with_the_bits_of_what_is_stored_later(half, update):
    """And weights with the bits that they have without; nothing where the step is skipped."""
    given = [numbers(17 + i, (5,), (3, 700), (8,), dtype=np.float32) for i in range(4 if update is adam_update else 3)]
    given[2:] = [[abs(x) for x in slot] for slot in given[2:]]
    given[0][2][:] = 1e-9, 6.1e-5, 65519.0, 65520.0, -3e38, 0.0, -0.0, 1 + 2.0**-11
    given[1][2][:] = 0  # so that these stay about as they are: below halves' normal numbers, and beyond them
    for skip in (np.zeros(1, np.int32), np.ones(1, np.int32)):
        plain, together = ([[x.copy() for x in slot] for slot in given] for _ in range(2))
        copies = [None, *(np.full(x.shape, 7, half.dtype) for x in given[0][1:])]
        options = {"lr": 1e-7, "skip": skip, **UPDATES[update]}
        update(*plain, [True, True, False], **options)
        update(*together, [True, True, False], **options, copies=copies)
        for one, other in zip(chain(*plain), chain(*together), strict=True):
            np.testing.assert_array_equal(one, other)
        stored = [np.full(x.shape, 7, half.dtype) for x in given[0][1:]]
        if not skip:
            store(plain[0][1:], stored)
        for copy, expected in zip(copies[1:], stored, strict=True):
            np.testing.assert_array_equal(copy.view(np.uint16), expected.view(np.uint16))


def test_dropout(half):
    stream, rate = Stream(0, "3.dropout", 41), 0.3
    x, dy = half.numbers(16, (3, 70), (3, 70))
    y, kept = ops.dropout(x, rate, stream)
    np.testing.assert_array_equal(kept, stream.uniform(x.shape) >= np.float32(rate))
    half.assert_near(y, np.float64(x) * kept / (1 - rate), abs(np.float64(x)), roundings=2)
    half.assert_near(ops.dropout_backward(dy, kept, rate), np.float64(dy) * kept / (1 - rate), abs(dy), roundings=2)


def test_instructions_do_what_stands_beside_them():
    """On the CPU the two are one; on a GPU this compares them."""
    np.testing.assert_array_equal(wrong_roundings(np, some_floats()), 0)
    x, y = copied(np)
    for size in range(3):
        np.testing.assert_array_equal(y[size], x)
    for probe in TOGETHER:
        np.testing.assert_array_equal(*probe(np))
