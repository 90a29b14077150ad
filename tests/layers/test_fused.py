"""Two layers computed at once are the two layers: the same numbers, statistics, gradients and names."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import numbers
from checks.examples import STEP

from gpucnn.cpu import compiled
from gpucnn.dispatch import recorded
from gpucnn.layers.activation import Relu
from gpucnn.layers.batch_norm import BatchNorm
from gpucnn.layers.conv2d import Conv2d
from gpucnn.layers.fused import ConvNorm, Ended, apart
from gpucnn.layers.pool2d import MaxPool2d
from gpucnn.layers.sequential import Sequential
from gpucnn.model import Model

SHAPE = (5, 4, 3)


def network(dtype: type) -> Model:
    return Model([BatchNorm(), Relu()], SHAPE, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_together_they_give_what_they_give_apart(dtype):
    x, dy = numbers(1, (6, *SHAPE), (6, *SHAPE), dtype=dtype)
    together, one_by_one = network(dtype), network(dtype)
    y, saved = together.layers.forward(x, train=STEP)
    dx = together.layers.backward(dy, saved)
    with apart():
        expected, saved = one_by_one.layers.forward(x, train=STEP)
    expected_dx = one_by_one.layers.backward(dy, saved)  # what was computed apart is known by what it saved
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(dx, expected_dx)
    for key, array in together.arrays().items():
        np.testing.assert_array_equal(array, one_by_one.arrays()[key], err_msg=key)
    for key, parameter in together.params.items():
        np.testing.assert_array_equal(parameter.grad, one_by_one.params[key].grad, err_msg=key)
    still = together.forward(x)[0]
    with apart():
        np.testing.assert_array_equal(still, one_by_one.forward(x)[0])


def test_the_numbers_are_those_of_the_formula():
    (x,) = numbers(2, (6, *SHAPE), dtype=np.float64)
    y, _ = network(np.float64).forward(x, train=STEP)
    hat = (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(y, np.maximum(hat, 0), rtol=1e-12)


def test_layers_keep_their_names():
    model = network(np.float32)
    assert [row.path for row in model.rows()] == ["0.batch_norm", "1.relu"]
    assert list(model.params) == ["0.batch_norm.gamma", "0.batch_norm.beta"]


def test_on_other_arrays_and_by_the_reference_each_is_dispatched():
    (x,) = numbers(3, (6, *SHAPE), dtype=np.float64)
    with recorded() as decisions:
        network(np.float64).forward(x, train=STEP)
    assert [decision.operation for decision in decisions][-2:] == ["batch_norm_train", "relu"]


@pytest.mark.parametrize(
    ("layers", "fused"),
    [
        ([BatchNorm(), Relu()], [True]),
        ([Relu(), BatchNorm(), Relu(), Relu()], [False, True, False]),
        ([BatchNorm(), Relu(), MaxPool2d()], [False, False, False]),  # pooling is computed between them
        ([BatchNorm(), Sequential([Relu()])], [False, False]),
    ],
)
def test_neighbours_are_computed_at_once(layers, fused):
    chain = Model(layers, (4, 4, 3)).layers
    assert [isinstance(layer, Ended) for layer in chain._computed] == fused


@pytest.mark.parametrize(
    ("layers", "at_once"),
    [
        (lambda: [Conv2d(16), BatchNorm(), Relu()], [True]),
        (lambda: [Conv2d(3, groups=3, bias=False), BatchNorm(), Conv2d(16, 1), BatchNorm(), Relu()], [True, True]),
        (lambda: [Conv2d(16), Relu(), BatchNorm(), Relu()], [False, False]),
        (lambda: [Conv2d(2, connections=[[0, 2], [1]]), BatchNorm()], [True]),
    ],
)
def test_a_convolution_takes_in_the_norm_after_it_when_evaluating(layers, at_once):
    """And not while training, nor where layers are looked at one by one."""
    (x,) = numbers(4, (6, *SHAPE), dtype=np.float32)
    model = Model(layers(), SHAPE)
    assert [isinstance(layer, ConvNorm) for layer in model.layers._joined] == at_once
    for _ in range(3):
        model.layers.forward(x, train=STEP)
    with recorded() as decisions:
        y = model.forward(x)[0]
    if compiled.available():
        assert [each.operation for each in decisions].count("conv2d_batch_norm_eval") == sum(at_once)
    with apart(), recorded() as decisions:
        expected = model.forward(x)[0]
    assert "conv2d_batch_norm_eval" not in [each.operation for each in decisions]
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * (1 + np.abs(expected).max()))
