"""Products that end with more than a bias: a batch norm's factors, another array, an activation; and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.halves import Half
from checks.windows import Conv, conv
from cushim.expected import reference, sizes

from gpucnn import numerics, ops
from gpucnn.cuda import plans, sums
from gpucnn.cuda.families import plain
from gpucnn.cuda.plans import Plan
from gpucnn.dispatch import recorded
from gpucnn.ops.activation import RELU, Function

pytestmark = pytest.mark.usefixtures("on_kernels")

TANH, LEAKY, SILU = Function("tanh", reads="y"), Function("leaky_relu", (("slope", 0.3),), "x"), Function("silu")

CASE = conv((2, 5, 7, 6), (10, 3, 2, 3), stride=(2, 1), padding=1, groups=2)
DEPTHWISE = conv((2, 5, 4, 3), (6, 3, 3, 1), groups=3, padding=1)
LARGE = conv((1, 9, 8, 4), (20, 3, 3, 4), padding=1)

PLANS = [
    (CASE, Plan.of("plain")),
    (LARGE, Plan.of("tiled", m=64, n=64)),
    (LARGE, Plan.of("tiled", m=128, n=128)),
    (LARGE, Plan.of("mma", m=64, n=64)),
    (DEPTHWISE, Plan.of("depthwise")),
]


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> str:
    return request.param


def arrays(case: Conv, dtype):
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    return numbers(41, case.x_shape, case.w_shape, case.w_shape[:1], y_shape, dtype=dtype)


def by(plan: Plan):
    """Compute forward passes by a plan, if it is one for their dtype."""
    return plans.using(lambda task: plan if task.which == "forward" and plan in plans.candidates(task) else None)


@pytest.mark.parametrize(("case", "plan"), PLANS, ids=str)
@pytest.mark.parametrize("function", [RELU, LEAKY, TANH], ids=lambda f: f.name)
def test_a_convolution_ends_with_an_activation(case, plan, function, dtype):
    """By one launch; activations are good to a few roundings, and none has a slope beyond 1."""
    x, w, b, _ = arrays(case, dtype)
    size = sizes(ops.conv2d, x, w, b, **case.arguments)
    for bias in (b, None):
        with by(plan), recorded() as decisions:
            y, kept = ops.conv2d_activation(x, w, bias, function, **case.arguments)
        assert [d.operation for d in decisions] == ["conv2d_activation"]
        expected, _ = reference(ops.conv2d_activation, x, w, bias, function, **case.arguments)
        assert_near(y, expected, dtype, size + 1, roundings=np.prod(case.w_shape[1:]) + 32)
        assert kept[0] is y


@pytest.mark.parametrize(("case", "plan"), PLANS, ids=str)
@pytest.mark.parametrize(("function", "added"), [(None, False), (RELU, True), (TANH, True)])
def test_a_convolution_ends_with_a_norm(case, plan, function, added, dtype):
    x, w, b, z = arrays(case, dtype)
    norm = (b, b + 1, b - 1, b * b + 0.5, 1e-3)
    given = (x, w, b, norm, function, z if added else None)
    wide = (*map(np.float64, given[:3]), (*map(np.float64, norm[:4]), 1e-3), function, np.float64(z) if added else None)
    with by(plan):
        y = ops.conv2d_batch_norm_eval(*given, **case.arguments)
    expected = reference(ops.conv2d_batch_norm_eval, *wide, **case.arguments)
    size = 4 * (sizes(ops.conv2d, x, w, b, **case.arguments) + 1) * (1 + abs(b)) + 8
    assert_near(y, expected, dtype, size, roundings=np.prod(case.w_shape[1:]) + 32)


def test_what_a_family_does_not_end_is_gone_over_once_more(dtype, monkeypatch):
    monkeypatch.setattr(plain, "ENDS", False)
    test_a_convolution_ends_with_a_norm(*PLANS[0], TANH, True, dtype)
    test_a_convolution_ends_with_an_activation(*PLANS[0], LEAKY, dtype)


def test_an_activation_that_looks_at_what_comes_before_it_is_computed_apart(dtype):
    x, w, b, _ = arrays(CASE, dtype)
    with recorded() as decisions:
        y, kept = ops.conv2d_activation(x, w, b, SILU, **CASE.arguments)
    assert [d.operation for d in decisions] == ["conv2d", "silu"]
    g, db = ops.bias_activation_backward(y, kept, SILU, bias=True)
    expected = reference(ops.bias_activation_backward, y, tuple(map(np.float64, kept)), SILU, bias=True)
    for one, other in zip((g, db), expected, strict=True):
        assert_near(one, other, dtype, 1 + abs(other), roundings=64)


@pytest.mark.parametrize("lengths", [(5, 13, 7), (33, 40, 24)])
def test_dense(lengths, dtype):
    images, features, outputs = lengths
    x, w, b = numbers(42, (images, features), (outputs, features), (outputs,), dtype=dtype)
    y, _ = ops.dense_activation(x, w, b, TANH)
    expected, _ = reference(ops.dense_activation, x, w, b, TANH)
    assert_near(y, expected, dtype, sizes(ops.dense, x, w, b) + 1, roundings=features + 32)


@pytest.mark.parametrize("shape", [(2, 1), (5, 3, 8), (67, 24), (9, 1032), (4, 3, 5)])
@pytest.mark.parametrize("function", [RELU, LEAKY, TANH], ids=lambda f: f.name)
@pytest.mark.parametrize("bias", [True, False])
def test_behind_a_bias_and_an_activation(shape, function, bias, dtype, monkeypatch):
    monkeypatch.setattr(sums, "TERMS", 16)
    dy, v = numbers(43, shape, shape, dtype=dtype)
    kept = function.kept(v, np.tanh(v))
    g, db = ops.bias_activation_backward(dy, kept, function, bias)
    expected, db_expected = reference(ops.bias_activation_backward, dy, tuple(map(np.float64, kept)), function, bias)
    assert_near(g, expected, dtype, abs(dy), roundings=8)
    assert (db is None) is not bias
    if bias:
        size = abs(np.float64(dy)).reshape(-1, shape[-1]).sum(axis=0)
        assert_near(db, db_expected, dtype, size, roundings=v.size // shape[-1] + 8)


def test_halves(half: Half):
    """Sums and their end are float32 and rounded once, but for what is gone over once more."""
    tiled, mma = Plan.of("tiled", m=64, n=64), Plan.of("mma", m=64, n=64)
    for plan, function in ((Plan.of("plain"), TANH), (tiled, RELU), (tiled, TANH), (mma, RELU), (mma, TANH)):
        y_shape = ops.conv2d_output_shape(LARGE.x_shape, LARGE.w_shape, **LARGE.arguments)
        x, w, b, dy = half.numbers(44, LARGE.x_shape, LARGE.w_shape, LARGE.w_shape[:1], y_shape)
        with by(plan), numerics.using("tf32"):  # for a bfloat16, which is a float32 that tensor cores would take apart
            y, kept = ops.conv2d_activation(x, w, b, function, **LARGE.arguments)
        expected, _ = reference(ops.conv2d_activation, x, w, b, function, **LARGE.arguments)
        size = sizes(ops.conv2d, x, w, b, **LARGE.arguments)
        roundings = 80 + (half.unit / np.finfo(np.float32).eps if function is TANH else 0)
        half.assert_near(y, expected, size, roundings)
        g, db = ops.bias_activation_backward(dy, kept, function, bias=True)
        wide = tuple(map(np.float64, kept))
        expected, db_expected = reference(ops.bias_activation_backward, dy, wide, function, bias=True)
        half.assert_near(g, expected, abs(np.float64(dy)), roundings=8)
        assert_near(db, db_expected, np.float32, abs(np.float64(dy)).sum(axis=(0, 1, 2)), roundings=80)
