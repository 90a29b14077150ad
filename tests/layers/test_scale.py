"""The scale layer: worked by hand."""

from __future__ import annotations

import numpy as np
from checks.examples import STEP, built

from gpucnn.layers.scale import Scale


def test_by_hand():
    layer = built(Scale(), shape=(1, 2, 2)).layer
    assert {key: (p.value.tolist(), p.decay) for key, p in layer.params.items()} == {
        "gamma": ([1, 1], False),
        "beta": ([0, 0], False),
    }
    layer.params["gamma"].value[:] = 2, -1
    layer.params["beta"].value[:] = 10, 0.5
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    y, saved = layer.forward(x, train=STEP)
    assert y.tolist() == [[[[12, -1.5], [16, -3.5]]]]
    dx = layer.backward(np.array([[[[1.0, 10.0], [2.0, 20.0]]]]), saved)
    assert dx.tolist() == [[[[2, -10], [4, -20]]]]
    assert layer.params["gamma"].grad.tolist() == [7, 100]
    assert layer.params["beta"].grad.tolist() == [3, 30]
    assert layer.flops((1, 2, 2)) == 8


def test_a_fixed_scale_has_nothing_to_learn():
    layer = built(Scale(initial=0.25, learned=False), shape=(1, 2, 2)).layer
    x = np.array([[[[1.0, 2.0], [3.0, -4.0]]]], np.float32)
    y, saved = layer.forward(x, train=STEP)
    assert (layer.params, y.dtype, y.tolist()) == ({}, np.float32, [[[[0.25, 0.5], [0.75, -1.0]]]])
    assert layer.backward(8 * x, saved).tolist() == [[[[2, 4], [6, -8]]]]
    assert layer.flops((1, 2, 2)) == 4
    assert built(Scale(initial=0.25)).layer.params["gamma"].value.max() == 0.25
