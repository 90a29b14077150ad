"""Dropout: which elements go, by how much the others grow, and on what that depends."""

from __future__ import annotations

import numpy as np
import pytest

from gpucnn.backend import Device
from gpucnn.errors import ArgumentError
from gpucnn.layers.base import Builder, Layer
from gpucnn.random import Step

Dropout = Layer.registry["dropout"]


def dropout(rate: float, path: str = "3.dropout", dtype=np.float32) -> Layer:
    layer = Dropout(rate=rate)
    layer.build((1000,), Builder(seed=0, dtype=dtype, device=Device("cpu"), path=path))
    return layer


ONES = np.ones((20, 1000), np.float32)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_elements_are_dropped_at_the_rate_and_the_others_make_up_for_it(rate):
    y, _ = dropout(rate).forward(ONES, train=Step(0, 0))
    n = y.size
    assert abs((y == 0).mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / n)  # five standard deviations
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-6)


def test_a_gradient_goes_where_the_value_went():
    y, saved = dropout(0.5).forward(ONES, train=Step(0, 0))
    np.testing.assert_array_equal(dropout(0.5).backward(ONES, saved), y)


def test_the_mask_is_that_of_the_step_the_seed_and_the_layer():
    first, _ = dropout(0.5).forward(ONES, train=Step(0, 7))
    np.testing.assert_array_equal(dropout(0.5).forward(ONES, train=Step(0, 7))[0], first)
    for layer, step in [
        (dropout(0.5), Step(0, 8)),
        (dropout(0.5), Step(1, 7)),
        (dropout(0.5, path="4.dropout"), Step(0, 7)),
    ]:
        same = (layer.forward(ONES, train=step)[0] == first).mean()
        assert abs(same - 0.5) < 5 * np.sqrt(0.25 / first.size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_evaluating_and_rate_zero_change_nothing(dtype):
    x = np.random.default_rng(0).standard_normal((5, 1000)).astype(dtype)
    np.testing.assert_array_equal(dropout(0.5, dtype=dtype).forward(x, train=None)[0], x)
    y, saved = dropout(0.0, dtype=dtype).forward(x, train=Step(0, 0))
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dropout(0.0, dtype=dtype).backward(x, saved), x)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, "half"])
def test_a_rate_is_a_fraction_below_one(rate):
    with pytest.raises(ArgumentError, match="rate") as caught:
        Dropout(rate=rate)
    assert repr(rate) in str(caught.value)


def test_parts_of_a_batch_have_the_parts_of_its_mask():
    whole, _ = dropout(0.5).forward(ONES, train=Step(0, 7))
    first, _ = dropout(0.5).forward(ONES[:7], train=Step(0, 7))
    rest, _ = dropout(0.5).forward(ONES[7:], train=Step(0, 7, first=7))
    np.testing.assert_array_equal(np.concatenate([first, rest]), whole)
