"""Batch normalisation as a layer: what it remembers of the batches it trained on, and what it does with it."""

from __future__ import annotations

import numpy as np
import pytest
from checks.examples import STEP, built

from gpucnn.errors import ShapeError
from gpucnn.layers.base import Layer

BatchNorm = Layer.registry["batch_norm"]


def test_running_statistics_start_at_0_and_1_and_evaluating_uses_them():
    layer = built(BatchNorm(eps=0.0), shape=(2,)).layer
    assert {key: value.tolist() for key, value in layer.state.items()} == {"mean": [0, 0], "var": [1, 1]}
    x = np.array([[1.0, 2.0], [3.0, 6.0]])
    np.testing.assert_array_equal(layer.forward(x, train=None)[0], x)


def test_running_statistics_by_hand():
    """Values 1, 3, 5: mean 3, variance 8/3 over three, 4 over two, as the estimate of the data's variance."""
    layer = built(BatchNorm(momentum=0.25), shape=(1,)).layer
    x = np.array([[1.0], [3.0], [5.0]])
    layer.forward(x, train=STEP)
    assert layer.state["mean"].item() == pytest.approx(0.75 * 0 + 0.25 * 3)
    assert layer.state["var"].item() == pytest.approx(0.75 * 1 + 0.25 * 4)
    layer.forward(x, train=STEP)
    assert layer.state["mean"].item() == pytest.approx(0.75 * 0.75 + 0.25 * 3)
    assert layer.state["var"].item() == pytest.approx(0.75 * 1.75 + 0.25 * 4)


def test_scale_and_shift_are_learned_without_weight_decay():
    """And the shift says that it is one: its learning rate may be another."""
    layer = built(BatchNorm(), shape=(3, 3, 5)).layer
    assert {key: (p.value.tolist(), p.decay, p.shifts_norm) for key, p in layer.params.items()} == {
        "gamma": ([1] * 5, False, False),
        "beta": ([0] * 5, False, True),
    }


def test_training_needs_two_values_a_channel():
    layer = built(BatchNorm(), shape=(3,)).layer
    with pytest.raises(ShapeError, match="two or more"):
        layer.forward(np.zeros((1, 3)), train=STEP)
    assert layer.forward(np.zeros((1, 3)), train=None)[0].shape == (1, 3)


@pytest.mark.torch
@pytest.mark.parametrize("momentum", [0.1, 0.3])
def test_running_statistics_are_pytorchs(torch, rng, momentum):
    layer = built(BatchNorm(momentum=momentum, eps=1e-3), shape=(4, 3, 5)).layer
    theirs = torch.nn.BatchNorm2d(5, momentum=momentum, eps=1e-3, dtype=torch.float64)
    for batch in (2, 3, 7):
        x = 3 + 2 * rng.standard_normal((batch, 4, 3, 5))
        y, _ = layer.forward(x, train=STEP)
        expected = theirs(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).detach().numpy()
        np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(layer.state["mean"], theirs.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(layer.state["var"], theirs.running_var.numpy(), rtol=1e-12)
    theirs.eval()
    evaluated = theirs(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).detach().numpy()
    np.testing.assert_allclose(layer.forward(x, train=None)[0], evaluated, rtol=1e-10, atol=1e-10)
