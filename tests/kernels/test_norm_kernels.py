"""Batch normalisation with what stands around it: activations, a residual's other way, running statistics."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.halves import Half
from cushim.expected import reference

from gpucnn import dispatch, ops
from gpucnn.cuda import sums
from gpucnn.ops import batch_norm
from gpucnn.ops.activation import RELU, Function
from gpucnn.ops.batch_norm_activation import Running, Saved

pytestmark = pytest.mark.usefixtures("on_kernels")

LEAKY = Function("leaky_relu", (("slope", 0.3),), reads="x")
ELU = Function("elu", (("alpha", 0.7),))
TANH, GELU, SOFTPLUS = Function("tanh", reads="y"), Function("gelu", reads="x"), Function("softplus", reads="x")

CASES = [
    ((2, 1), None, False),
    ((2, 5, 7, 3), RELU, False),
    ((3, 5, 4, 8), RELU, True),
    ((67, 24), LEAKY, True),
    ((5, 3, 1032), RELU, True),  # more than one strip of columns
    ((9, 264), TANH, True),
    ((33, 16), ELU, True),
    ((2, 3, 5, 12), GELU, False),
    ((3, 1, 300), SOFTPLUS, False),
    ((211, 40), None, True),
]
"""Shape, activation, and whether another array is added: wide and narrow, many channels and many rows."""


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


def arrays(shape, dtype):
    x, z, dy, gamma, beta = numbers(31, shape, shape, shape, shape[-1:], shape[-1:], dtype=dtype)
    return x + 3, z, dy, gamma, beta


def kept_as(saved: Saved, dtype: str) -> Saved:
    """Return what the reference saved, in another dtype."""
    cast = [None if a is None else a.astype(dtype) for a in saved.kept or ()]
    norm = batch_norm.Saved(*(a.astype(dtype) for a in saved.norm))
    return saved._replace(norm=norm, beta=saved.beta.astype(dtype), kept=tuple(cast) or None)


@pytest.mark.parametrize(("shape", "function", "added"), CASES)
def test_forward_and_backward_are_the_reference(shape, function, added, dtype, monkeypatch):
    """The reference is op by op, in float64; a deviation may be 32 times as wrong as x, which is about 3."""
    monkeypatch.setattr(sums, "TERMS", 16)
    x, z, dy, gamma, beta = arrays(shape, dtype)
    z = z if added else None
    rows = x.size // shape[-1]
    forward = ops.batch_norm_activation_train
    y, mean, var, saved = forward(x, gamma, beta, 1e-3, function, z)
    expected, mean_expected, var_expected, kept = reference(forward, x, gamma, beta, 1e-3, function, z)
    assert_near(mean, mean_expected, dtype, 8, roundings=rows + 8)
    assert_near(var, var_expected, dtype, 64, roundings=rows + 8)
    size = 256 * (1 + abs(gamma)) * (1 + abs(expected))
    assert_near(y, expected, dtype, size, roundings=32)
    assert saved.z is added
    found = ops.batch_norm_activation_backward(dy, kept_as(kept, dtype))
    wanted = reference(ops.batch_norm_activation_backward, dy, kept)
    for one, other in zip(found, wanted, strict=True):
        if other is None:
            assert one is None
        else:
            assert_near(one, other, dtype, 256 * (1 + abs(gamma)) * (1 + abs(dy).max()), roundings=rows + 32)
    still = ops.batch_norm_activation_eval(x, gamma, beta, mean, var, 1e-3, function, z)
    assert_near(still, expected, dtype, size, roundings=rows + 32)


@pytest.mark.parametrize(("shape", "function", "added"), [CASES[2], CASES[4], CASES[7]])
def test_halves(shape, function, added, half: Half, monkeypatch):
    monkeypatch.setattr(sums, "TERMS", 16)
    x, z, dy = half.numbers(32, shape, shape, shape)
    gamma, beta = numbers(33, shape[-1:], shape[-1:], dtype=np.float32)
    z, rows = z if added else None, x.size // shape[-1]
    y, *_, saved = ops.batch_norm_activation_train(x, gamma, beta, 1e-3, function, z)
    expected, *_, kept = reference(ops.batch_norm_activation_train, x, gamma, beta, 1e-3, function, z)
    half.assert_near(y, expected, 32 * (1 + abs(expected)), roundings=32)
    kept = kept._replace(kept=saved.kept, norm=kept.norm._replace(x=np.float64(x)))  # y is that of the half
    dx, dgamma, dbeta, dz = ops.batch_norm_activation_backward(dy, saved)
    wide = kept._replace(kept=tuple(map(np.float64, saved.kept)) if saved.kept else None)
    wanted = reference(ops.batch_norm_activation_backward, dy, wide)
    if added:
        half.assert_near(dz, wanted[3], 1, roundings=4)
    blur = half.unit * abs(np.float64(dy)).max() * (1 + abs(gamma)) if added else 0  # g is a half where it is kept
    for one, other in ((dgamma, wanted[1]), (dbeta, wanted[2])):
        assert_near(one, other, np.float32, 64 + 64 * rows * blur / np.finfo(np.float32).eps, roundings=rows)
    assert dx.dtype == half.dtype
    np.testing.assert_allclose(np.float64(dx), wanted[0], rtol=0, atol=64 * half.unit * (1 + abs(wanted[0]).max()))


def test_relu_lets_the_same_pass_backward():
    """Of many elements around 0: what is recomputed is what was computed, to the bit."""
    rng = np.random.default_rng(3)
    x = (1e-6 * rng.standard_normal((16, 8, 8, 8))).astype(np.float32)
    x[::2] += 1  # each half deviates by 0.5 from the mean, which normalised is 1
    gamma = rng.standard_normal(8).astype(np.float32)
    y, *_, saved = ops.batch_norm_activation_train(x, gamma, -gamma, 1e-5, RELU)
    assert 0.2 < (y[::2] > 0).mean() < 0.8
    dbeta = ops.batch_norm_activation_backward(np.ones_like(x), saved)[2]
    np.testing.assert_array_equal(dbeta, (y > 0).sum(axis=(0, 1, 2)))


def test_running_statistics_are_those_of_the_layer(dtype):
    x, _, _, gamma, beta = arrays((5, 7, 9), dtype)
    found, expected = (Running(np.ones(9, kind), np.full(9, 2, kind), 0.2) for kind in (dtype, np.float64))
    for _ in range(2):
        ops.batch_norm_activation_train(x, gamma, beta, 1e-3, None, None, found)
        with dispatch.using("reference"):
            ops.batch_norm_activation_train(*map(np.float64, (x, gamma, beta)), 1e-3, None, None, expected)
    assert_near(found.mean, expected.mean, dtype, 8, roundings=64)
    assert_near(found.var, expected.var, dtype, 64, roundings=64)


def test_what_no_kernel_computes_at_once_is_computed_one_by_one():
    x, z, dy, gamma, beta = arrays((3, 4, 8), "float64")
    y, *_, saved = ops.batch_norm_activation_train(x, gamma, beta, 1e-3, GELU, z)
    expected, *_, kept = reference(ops.batch_norm_activation_train, x, gamma, beta, 1e-3, GELU, z)
    np.testing.assert_allclose(y, expected)
    found = ops.batch_norm_activation_backward(dy, saved)
    for one, other in zip(found, reference(ops.batch_norm_activation_backward, dy, kept), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("function", [None, RELU, LEAKY, SOFTPLUS])
def test_sums_with_an_activation(function, dtype):
    a, b, dy = numbers(34, (3, 5, 7), (3, 5, 7), (3, 5, 7), dtype=dtype)
    y, kept = ops.add_activation(a, b, function)
    expected, saved = reference(ops.add_activation, a, b, function)
    assert_near(y, expected, dtype, 1 + abs(expected), roundings=8)
    dx = ops.add_activation_backward(dy, function, kept)
    assert_near(dx, reference(ops.add_activation_backward, dy, function, saved), dtype, 8, roundings=8)
