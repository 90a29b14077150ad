"""The operations against PyTorch's, in float64: its autograd gives the gradients that ours are written for by hand."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import numbers, seeds
from checks.windows import conv, convs, pools
from hypothesis import assume, example, given
from hypothesis import strategies as st
from oracles.window import both, sides

from gpucnn import ops

pytestmark = pytest.mark.torch

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
"""Sums of at most some thousands of products near 1: 2^-53 * 1e3, with room for either side's order of summation."""


def leaf(torch, x: np.ndarray, *, channels_first: bool = True):
    """Return a tensor that collects its gradient, NCHW where x is images or kernels."""
    tensor = torch.tensor(x)
    return (tensor.permute(0, 3, 1, 2) if channels_first else tensor).contiguous().requires_grad_()


def ours(tensor, *, channels_first: bool = True) -> np.ndarray:
    """Return a tensor's numbers as we hold them, NHWC."""
    return (tensor.permute(0, 2, 3, 1) if channels_first else tensor).detach().numpy()


def padded(torch, x, pads, value: float = 0.0):
    """Return padded images: PyTorch's own padding is the same on both sides, so uneven padding goes before it."""
    (top, bottom), (left, right) = pads
    return torch.nn.functional.pad(x, (left, right, top, bottom), value=value)


@given(convs(), seeds)
@example(conv((2, 7, 11, 4), (6, 3, 5, 2), stride=(2, 3), padding=((1, 0), (2, 3)), dilation=(2, 1), groups=2), 0)
@example(conv((2, 13, 7, 3), (6, 3, 3, 1), padding="same", groups=3), 0)
@example(conv((1, 2, 2, 1), (1, 5, 5, 1), padding=2, stride=2), 0)
def test_convolution_and_its_gradients(torch, case, seed):
    arguments = case.arguments
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **arguments)
    x, w, b, dy = numbers(seed, case.x_shape, case.w_shape, case.w_shape[:1], y_shape, dtype=np.float64)
    tx, tw, tb = leaf(torch, x), leaf(torch, w), leaf(torch, b, channels_first=False)
    pads = sides(arguments["padding"], x.shape[1:3], w.shape[1:3], arguments["stride"], arguments["dilation"])
    rest = {key: arguments[key] for key in ("stride", "dilation", "groups")}
    ty = torch.nn.functional.conv2d(padded(torch, tx, pads), tw, tb, **rest)
    ty.backward(torch.tensor(dy).permute(0, 3, 1, 2))
    np.testing.assert_allclose(ops.conv2d(x, w, b, **arguments), ours(ty), **TOLERANCE)
    np.testing.assert_allclose(ops.conv2d_backward_data(dy, w, x.shape, **arguments), ours(tx.grad), **TOLERANCE)
    np.testing.assert_allclose(ops.conv2d_backward_weight(x, dy, w.shape, **arguments), ours(tw.grad), **TOLERANCE)
    np.testing.assert_allclose(ops.conv2d_backward_bias(dy), tb.grad.numpy(), **TOLERANCE)


@given(convs(), seeds)
def test_same_padding_at_stride_1(torch, case, seed):
    """For an even kernel too, the odd row is padded at the end."""
    arguments = {**case.arguments, "stride": 1, "padding": "same"}
    x, w = numbers(seed, case.x_shape, case.w_shape, dtype=np.float64)
    # An even total may be split; where it is odd PyTorch copies the input with one more row and warns of the cost.
    assume(all(d * (r - 1) % 2 == 0 for r, d in zip(w.shape[1:3], both(arguments["dilation"]), strict=True)))
    rest = {key: arguments[key] for key in ("padding", "dilation", "groups")}
    ty = torch.nn.functional.conv2d(leaf(torch, x), leaf(torch, w), **rest)
    np.testing.assert_allclose(ops.conv2d(x, w, **arguments), ours(ty), **TOLERANCE)


@given(pools(), seeds, st.booleans())
def test_max_pooling_and_its_gradient(torch, case, seed, ties):
    (x,) = numbers(seed, case.x_shape, dtype=np.float64)
    x = np.round(x) if ties else x
    stride = case.kernel_size if case.arguments["stride"] is None else case.arguments["stride"]
    pads = sides(case.arguments["padding"], x.shape[1:3], case.kernel_size, stride)
    tx = leaf(torch, x)
    ty = torch.nn.functional.max_pool2d(padded(torch, tx, pads, -np.inf), case.kernel_size, stride)
    y, index = ops.max_pool2d(x, case.kernel_size, **case.arguments)
    np.testing.assert_array_equal(y, ours(ty))
    (dy,) = numbers(seed + 1, y.shape, dtype=np.float64)
    ty.backward(torch.tensor(dy).permute(0, 3, 1, 2))
    dx = ops.max_pool2d_backward(dy, index, x.shape, case.kernel_size, **case.arguments)
    np.testing.assert_allclose(dx, ours(tx.grad), **TOLERANCE)


@given(pools(), seeds, st.booleans())
def test_average_pooling_and_its_gradient(torch, case, seed, count_include_pad):
    # PyTorch counts its own padding only, at most half the kernel and the same on both sides.
    stride = case.kernel_size if case.arguments["stride"] is None else case.arguments["stride"]
    (x,) = numbers(seed, case.x_shape, dtype=np.float64)
    pads = sides(case.arguments["padding"], x.shape[1:3], case.kernel_size, stride)
    even = [top for top, bottom in pads if top == bottom]
    assume(len(even) == 2 and all(2 * n <= r for n, r in zip(even, both(case.kernel_size), strict=True)))
    tx = leaf(torch, x)
    ty = torch.nn.functional.avg_pool2d(tx, case.kernel_size, stride, tuple(even), count_include_pad=count_include_pad)
    arguments = {**case.arguments, "count_include_pad": count_include_pad}
    np.testing.assert_allclose(ops.avg_pool2d(x, case.kernel_size, **arguments), ours(ty), **TOLERANCE)
    (dy,) = numbers(seed + 1, tuple(ours(ty).shape), dtype=np.float64)
    ty.backward(torch.tensor(dy).permute(0, 3, 1, 2))
    dx = ops.avg_pool2d_backward(dy, x.shape, case.kernel_size, **arguments)
    np.testing.assert_allclose(dx, ours(tx.grad), **TOLERANCE)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 5, 4), (2, 1, 1, 3)])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_batch_norm_and_its_gradients(torch, shape, eps):
    C, images = shape[-1], len(shape) == 4
    x, gamma, beta, dy = numbers(0, shape, (C,), (C,), shape, dtype=np.float64)
    tx, tg, tb = leaf(torch, x, channels_first=images), *(leaf(torch, p, channels_first=False) for p in (gamma, beta))
    ty = torch.nn.functional.batch_norm(tx, None, None, tg, tb, training=True, eps=eps)
    ty.backward(torch.tensor(dy).permute(0, 3, 1, 2) if images else torch.tensor(dy))
    y, mean, var, saved = ops.batch_norm_train(x, gamma, beta, eps)
    np.testing.assert_allclose(y, ours(ty, channels_first=images), **TOLERANCE)
    dx, dgamma, dbeta = ops.batch_norm_backward(dy, saved)
    tolerance = {"rtol": 1e-10, "atol": 1e-10}  # of two elements a channel, dx is what is left of a cancellation
    np.testing.assert_allclose(dx, ours(tx.grad, channels_first=images), **tolerance)
    np.testing.assert_allclose(dgamma, tg.grad.numpy(), **tolerance)
    np.testing.assert_allclose(dbeta, tb.grad.numpy(), **tolerance)
    evaluated = torch.nn.functional.batch_norm(tx, *map(torch.tensor, (mean, var)), tg, tb, training=False, eps=eps)
    np.testing.assert_allclose(
        ops.batch_norm_eval(x, gamma, beta, mean, var, eps), ours(evaluated, channels_first=images), **TOLERANCE
    )


ACTIVATIONS = {
    "relu": ({}, lambda F, x: F.relu(x)),
    "leaky_relu": ({"slope": 0.2}, lambda F, x: F.leaky_relu(x, 0.2)),
    "sigmoid": ({}, lambda F, x: x.sigmoid()),
    "tanh": ({}, lambda F, x: x.tanh()),
    "scaled_tanh": ({}, lambda F, x: 1.7159 * (2 * x / 3).tanh()),
    "softplus": ({}, lambda F, x: F.softplus(x, threshold=1000)),  # by default PyTorch rounds to x from 20 on
    "elu": ({"alpha": 1.7}, lambda F, x: F.elu(x, 1.7)),
    "gelu": ({}, lambda F, x: F.gelu(x)),
    "silu": ({}, lambda F, x: F.silu(x)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_gradients(torch, name):
    arguments, call = ACTIVATIONS[name]
    x = np.concatenate([np.linspace(-40, 40, 161) + 0.125, np.linspace(-3, 3, 101) + 1e-3])
    (dy,) = numbers(0, x.shape, dtype=np.float64)
    tx = leaf(torch, x, channels_first=False)
    ty = call(torch.nn.functional, tx)
    ty.backward(torch.tensor(dy))
    y = getattr(ops, name)(x, **arguments)
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(
        getattr(ops, f"{name}_backward")(dy, x, y, **arguments), tx.grad.numpy(), rtol=1e-13, atol=1e-14
    )


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_softmax_and_its_logarithm(torch, scale):
    x, dy = numbers(0, (5, 7), (5, 7), dtype=np.float64)
    for name in ("softmax", "log_softmax"):
        tx = leaf(torch, scale * x, channels_first=False)
        ty = getattr(tx, name)(dim=-1)
        ty.backward(torch.tensor(dy))
        y = getattr(ops, name)(scale * x)
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-13, atol=1e-14)
        dx = getattr(ops, f"{name}_backward")(dy, y)
        np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-12, atol=1e-13)
