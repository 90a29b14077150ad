"""Fast pooling, activations, normalisation and dense layers against the reference, on every layout."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, held, layouts, numbers, seeds, unchanged
from hypothesis import given
from hypothesis import strategies as st

from gpucnn import ops
from gpucnn.cpu.blocks import CHUNK, over, slices, summed
from gpucnn.cpu.rows import Rows
from gpucnn.dispatch import NotApplicable, recorded, using
from gpucnn.ops import activation
from gpucnn.ops.activation import RELU
from gpucnn.random import Stream

pytestmark = pytest.mark.usefixtures("way")

shapes = st.tuples(st.integers(0, 3), st.integers(2, 9), st.integers(2, 9), st.sampled_from([1, 3, 16, 33]))


def both(operation, *args, **kwargs):
    """Return what the fast implementation and the reference make of the same arguments."""
    with using("fast"):
        fast = unchanged(operation, *args, **kwargs)
    with using("reference"):
        return fast, operation(*args, **kwargs)


@given(shapes, seeds, layouts, st.floats(0, 0.5), st.booleans())
def test_maxima_of_pairs_are_the_reference_bit_by_bit(shape, seed, layout, share, relu):
    """With equal values, infinities and NaNs among them."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, shape).astype(np.float32)
    x[rng.random(shape) < share / 4] = np.nan
    x[rng.random(shape) < share] = -np.inf
    (y, index), (expected, where) = both(ops.max_pool2d, held(x, layout), 2, relu=relu)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, where)
    assert (y.dtype, index.dtype) == (expected.dtype, where.dtype)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx, expected = both(ops.max_pool2d_backward, held(dy, layout), index, shape, 2)
    np.testing.assert_array_equal(dx, expected)


ACTIVATIONS = [name.removesuffix("_backward") for name in dir(activation) if name.endswith("_backward")]
WINDOWS = [{"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": (1, 2)}, {"kernel_size": 2, "stride": 3}]


@given(shapes, seeds, layouts, st.floats(0, 0.5), st.sampled_from(WINDOWS), st.booleans())
def test_maxima_of_any_windows_are_the_reference(shape, seed, layout, share, window, relu):
    """Bit by bit, but for the order in which gradients of windows that overlap are added."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, shape).astype(np.float32)
    x[rng.random(shape) < share / 4] = np.nan
    x[rng.random(shape) < share] = -np.inf
    with using("auto"):
        y, index = unchanged(ops.max_pool2d, held(x, layout), **window, relu=relu)
    with using("reference"):
        expected, where = ops.max_pool2d(x, **window, relu=relu)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, where)
    assert (y.dtype, index.dtype) == (expected.dtype, where.dtype)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    with using("auto"):
        dx = unchanged(ops.max_pool2d_backward, held(dy, layout), index, shape, **window)
    with using("reference"):
        expected, size = (ops.max_pool2d_backward(np.float64(a), index, shape, **window) for a in (dy, abs(dy)))
    assert_near(dx, expected, np.float32, size, 4)


@given(shapes, seeds, layouts)
def test_activations_are_the_reference_bit_by_bit(shape, seed, layout):
    x, dy = numbers(seed, shape, shape, dtype=np.float32)
    x[x < -1] = 0
    for name in ACTIVATIONS:
        y, expected = both(getattr(ops, name), held(x, layout))
        np.testing.assert_array_equal(y, expected)
        dx, expected = both(getattr(ops, f"{name}_backward"), held(dy, layout), x, held(y, layout))
        np.testing.assert_array_equal(dx, expected)
    for name, options in {"leaky_relu": {"slope": 0.3}, "elu": {"alpha": 0.7}}.items():
        y, expected = both(getattr(ops, name), held(x, layout), **options)
        np.testing.assert_array_equal(y, expected)


def test_an_activation_is_one_decision(rng):
    """However many chunks there are."""
    x = rng.standard_normal((5, 7, 11, 131)).astype(np.float32)
    with recorded() as decisions:
        for name in ACTIVATIONS:
            getattr(ops, f"{name}_backward")(x, x, getattr(ops, name)(x))
    assert {decision.implementation for decision in decisions} == {"gpucnn.cpu"}
    assert len(decisions) == 2 * len(ACTIVATIONS)


@given(shapes, seeds, layouts, st.floats(0, 0.99), st.integers(0, 2**40))
def test_dropout_is_the_reference_bit_by_bit(shape, seed, layout, rate, start):
    x, dy = numbers(seed, shape, shape, dtype=np.float32)
    stream = Stream(seed * 2**31 + 5, "3.dropout", seed % 1000)
    with using("auto"):
        y, kept = unchanged(ops.dropout, held(x, layout), rate, stream, start=start)
        dx = unchanged(ops.dropout_backward, held(dy, layout), kept, rate)
    with using("reference"):
        expected = (*ops.dropout(x, rate, stream, start=start), ops.dropout_backward(dy, kept, rate))
    for one, other in zip((y, kept, dx), expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def test_dropout_draws_in_chunks_from_one_stream(rng):
    """Which begin and end anywhere in a block of four."""
    x, stream = rng.standard_normal((7, 39_989)).astype(np.float32), Stream(1, "d", 2)
    for start in range(4):
        with using("auto"):
            mask = ops.dropout(x, 0.3, stream, start=start)[1]
        np.testing.assert_array_equal(mask > 0, stream.uniform(x.shape, start=start) >= np.float32(0.3))


@given(shapes.filter(lambda s: s[0] > 0), seeds, layouts)
def test_batch_norm_is_the_reference(shape, seed, layout):
    x, dy, gamma, beta, mean = numbers(seed, shape, shape, shape[-1:], shape[-1:], shape[-1:], dtype=np.float32)
    x += 3 * mean
    wide = [np.float64(a) for a in (x, gamma, beta)]
    with using("fast"):
        y, mean, var, saved = unchanged(ops.batch_norm_train, held(x, layout), gamma, beta)
        dx, dgamma, dbeta = ops.batch_norm_backward(held(dy, layout), saved)
        still = unchanged(ops.batch_norm_eval, held(x, layout), gamma, beta, mean, var)
    with using("reference"):
        expected = ops.batch_norm_train(*wide)
        gradients = ops.batch_norm_backward(np.float64(dy), expected[3])
    for got, want in zip(
        (y, mean, var, dx, dgamma, dbeta, still), (*expected[:3], *gradients, expected[0]), strict=True
    ):
        assert got.dtype == np.float32
        scale = max(1.0, float(np.abs(want).max()), float(np.abs(expected[3].inverse).max()))
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * scale * (1 + np.abs(x).max()))
    assert [part.shape for part in saved] == [part.shape for part in expected[3]]


@given(shapes.filter(lambda s: s[0] > 0), seeds, layouts)
def test_batch_norm_with_relu_is_the_two(shape, seed, layout):
    """To the bit forward; backward lets the very elements pass that forward did."""
    x, dy, gamma, beta, mean = numbers(seed, shape, shape, shape[-1:], shape[-1:], shape[-1:], dtype=np.float32)
    between, *statistics, kept = ops.batch_norm_train(x, gamma, beta)
    y, *found, saved = unchanged(ops.batch_norm_activation_train, held(x, layout), gamma, beta, function=RELU)
    np.testing.assert_array_equal(y, ops.relu(between))
    for one, other in zip(found, statistics, strict=True):
        np.testing.assert_array_equal(one, other)
    still = unchanged(ops.batch_norm_activation_eval, held(x, layout), gamma, beta, mean, mean**2, function=RELU)
    np.testing.assert_array_equal(still, ops.relu(ops.batch_norm_eval(x, gamma, beta, mean, mean**2)))
    *gradients, dz = ops.batch_norm_activation_backward(held(dy, layout), saved)
    assert dz is None
    for one, other in zip(gradients, ops.batch_norm_backward(dy * (y > 0), kept), strict=True):
        np.testing.assert_array_equal(one, other)


def test_relu_after_batch_norm_lets_the_same_pass_backward(rng):
    """Of half a million elements around 0: what is recomputed is what was computed."""
    x = (1e-6 * rng.standard_normal((64, 16, 16, 64))).astype(np.float32)
    x[::2] += 1  # each half deviates by 0.5 from the mean, which normalised is 1
    gamma = rng.standard_normal(64).astype(np.float32)
    y, *_, saved = ops.batch_norm_activation_train(x, gamma, -gamma, function=RELU)
    assert 0.2 < (y[::2] > 0).mean() < 0.8
    dbeta = ops.batch_norm_activation_backward(np.ones_like(x), saved)[2]
    np.testing.assert_array_equal(dbeta, (y > 0).sum(axis=(0, 1, 2)))


def test_the_variance_does_not_cancel():
    """A mean of 1000 deviations: E[x^2] - E[x]^2 in float32 would be wrong in the first digit."""
    x = np.float32(1000 + np.random.default_rng(0).standard_normal((64, 8, 8, 3)))
    with using("fast"):
        _, _, var, _ = ops.batch_norm_train(x, np.ones(3, np.float32), np.zeros(3, np.float32))
    np.testing.assert_allclose(var, np.float64(x).var(axis=(0, 1, 2)), rtol=1e-5)


@given(st.integers(0, 5), st.integers(1, 40), st.integers(1, 40), seeds, layouts, layouts)
def test_dense_products_are_the_reference(n, fan_in, fan_out, seed, layout, other):
    x, w, b, dy = numbers(seed, (n, fan_in), (fan_out, fan_in), (fan_out,), (n, fan_out), dtype=np.float32)
    x_held, w_held, dy_held = held(x, layout), held(w, other), held(dy, layout)
    with using("fast"):
        y = unchanged(ops.dense, x_held, w_held, b)
        dx = unchanged(ops.dense_backward_data, dy_held, w_held)
        dw = unchanged(ops.dense_backward_weight, x_held, dy_held)
        db = unchanged(ops.dense_backward_bias, dy_held)
    x, w, b, dy = (np.float64(a) for a in (x, w, b, dy))
    assert_near(y, x @ w.T + b, np.float32, abs(x) @ abs(w).T + abs(b), fan_in + 1)
    assert_near(dx, dy @ w, np.float32, abs(dy) @ abs(w), fan_out)
    assert_near(dw, dy.T @ x, np.float32, abs(dy).T @ abs(x), n)
    assert_near(db, dy.sum(0), np.float32, abs(dy).sum(0), n + 1)


@pytest.mark.parametrize("n", [31, 64, 100])
@pytest.mark.parametrize(("fan_in", "fan_out"), [(1031, 267), (256, 1059)])
@pytest.mark.parametrize("bias", [True, False])
def test_large_dense_products_are_sums_of_parts(n, fan_in, fan_out, bias, rng):
    """Numbers of images, inputs and outputs that fill no vector; whole numbers, whose sums are exact in any order."""
    x, w, b = (rng.integers(-8, 9, shape).astype(np.float32) for shape in ((n, fan_in), (fan_out, fan_in), fan_out))
    with using("fast"):
        y = unchanged(ops.dense, x, w, b if bias else None)
    np.testing.assert_array_equal(y, np.float64(x) @ np.float64(w).T + (b if bias else 0))


def test_a_large_dense_product_keeps_infinities_and_nan_where_they_are(rng):
    x, w = rng.standard_normal((64, 700)).astype(np.float32), rng.standard_normal((300, 700)).astype(np.float32)
    x[3, 5], w[7, 9] = np.nan, np.inf
    with using("fast"):
        found = np.isfinite(ops.dense(x, w))
    expected = np.ones((64, 300), bool)
    expected[3], expected[:, 7] = False, False
    np.testing.assert_array_equal(found, expected)


@given(shapes, seeds, layouts)
def test_sums_of_rows_are_the_reference(shape, seed, layout):
    (x,) = numbers(seed, shape, dtype=np.float32)
    with using("fast"):
        db = unchanged(ops.conv2d_backward_bias, held(x, layout))
    x = np.float64(x)
    assert_near(db, x.sum((0, 1, 2)), np.float32, abs(x).sum((0, 1, 2)), max(1, x.size))


def test_what_is_cut_is_whole():
    done = np.zeros(3 * CHUNK + 5, int)

    def work(part):
        done[part] += 1

    over(done.size, work)
    assert (done == 1).all()
    assert slices(0, 1, 1) == []

    def add(i, total):
        total += np.float32(i)

    assert summed(add, 100, (2,)).tolist() == [4950, 4950]
    assert summed(add, 0, (2,)).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(3, 5, 7, 1), (2, 64, 64, 16), (1, 1, 1, 5000), (0, 2, 2, 3), (7, 11)])
def test_long_rows_hold_whole_rows(shape):
    rows = Rows(np.zeros(shape, np.float32))
    assert rows.width % shape[-1] == 0
    assert rows.repeat * (rows.count // rows.repeat) == rows.count


def test_float64_is_left_to_the_reference():
    x = np.ones((1, 4, 4, 1))
    with recorded() as decisions:
        ops.max_pool2d(ops.relu(ops.conv2d(x, np.ones((1, 3, 3, 1)), padding=1)), 2)
    assert [(d.implementation, d.reason) for d in decisions] == 3 * [("reference", "float32 only, not float64")]


def test_other_windows_are_left_to_the_reference_or_compiled(way):
    with recorded() as decisions:
        ops.max_pool2d(np.ones((1, 5, 5, 1), np.float32), 3)
    expected = "" if way == "compiled" else "without numba, windows of 2x2 with stride 2 and no padding only"
    assert decisions[0].reason == expected
    assert issubclass(NotApplicable, Exception)
