"""Initialisers: the variances of the papers, and draws that depend on seed and path alone."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from gpucnn.backend import Device
from gpucnn.errors import ArgumentError
from gpucnn.layers.base import Builder
from gpucnn.layers.conv2d import Conv2d
from gpucnn.layers.initialisers import Init, initial
from gpucnn.random import Stream

FAN_IN, FAN_OUT = 72, 200
SHAPE = (100, 6, 4, 50)
COUNT = int(np.prod(SHAPE))
VARIANCES = {
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "lecun_normal": 1 / FAN_IN,
    "zeros": 0.0,
}
NAMED = [init for init in get_args(Init) if init not in ("auto", "dirac")]


def draw(init, activation=None, seed=0, purpose="init.0.conv2d.w"):
    return initial(init, activation, Stream(seed, purpose), SHAPE, FAN_IN, FAN_OUT)


@pytest.mark.parametrize("init", NAMED)
def test_mean_and_variance_are_the_papers(init):
    """Five standard errors: sqrt(v / n) of a mean, v sqrt((k - 1) / n) of a variance, k being the kurtosis."""
    w = draw(init)
    variance = VARIANCES[init]
    kurtosis = 1.8 if init.endswith("uniform") else 3.0
    assert (w.shape, w.dtype) == (SHAPE, np.float64)
    assert abs(w.mean()) <= 5 * (variance / COUNT) ** 0.5
    assert abs(w.var() - variance) <= 5 * variance * ((kurtosis - 1) / COUNT) ** 0.5


@pytest.mark.parametrize("init", ["he_uniform", "glorot_uniform"])
def test_uniform_fills_its_range(init):
    limit = (3 * VARIANCES[init]) ** 0.5
    w = draw(init)
    assert -limit <= w.min() < -0.999 * limit
    assert 0.999 * limit < w.max() < limit


@pytest.mark.parametrize("init", ["he_normal", "glorot_normal", "lecun_normal"])
def test_normal_has_normal_tails(init):
    """A normal number is beyond 2 sigma with probability 0.0455."""
    share = (abs(draw(init)) > 2 * VARIANCES[init] ** 0.5).mean()
    assert share == pytest.approx(0.0455, abs=5 * (0.0455 / COUNT) ** 0.5)


@pytest.mark.parametrize(
    ("activation", "init"),
    [(name, "he_normal") for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")]
    + [(name, "glorot_uniform") for name in ("sigmoid", "tanh", None)]
    + [("scaled_tanh", "lecun_normal")],
)
def test_auto_goes_by_the_activation(activation, init):
    np.testing.assert_array_equal(draw("auto", activation), draw(init))


@pytest.mark.parametrize("init", NAMED)
@pytest.mark.parametrize("activation", ["relu", "tanh", "scaled_tanh"])
def test_a_named_initialiser_does_not_go_by_the_activation(init, activation):
    np.testing.assert_array_equal(draw(init, activation), draw(init))


def test_draws_depend_on_seed_and_path_alone():
    w = draw("he_normal")
    np.testing.assert_array_equal(draw("he_normal"), w)
    others = [draw("he_normal", seed=1), draw("he_normal", purpose="init.1.conv2d.w")]
    for one, other in [(w, others[0]), (w, others[1]), tuple(others)]:
        # The correlation of independent draws is 0, with standard error 1 / sqrt(n).
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / COUNT**0.5


def test_signals_keep_their_size_through_many_layers(rng):
    """What initialisers are for: 20 dense layers of 200 leave the mean square within a factor of 2 or so."""
    for activation, function in [
        ("relu", lambda x: np.maximum(x, 0)),
        ("scaled_tanh", lambda x: 1.7159 * np.tanh(2 * x / 3)),
    ]:
        x = rng.standard_normal((50, 200))
        for layer in range(20):
            w = initial("auto", activation, Stream(0, f"init.{layer}"), (200, 200), 200, 200)
            x = function(x @ w.T)
        assert 0.2 < np.sqrt(np.mean(x**2)) < 3


def test_unknown_initialiser_is_refused():
    with pytest.raises(ArgumentError, match=r"init \(='he'\) must be one of auto, he_normal"):
        draw("he")


def test_builder_draws_by_path_and_in_its_dtype():
    builder = Builder(7, np.float32, Device("cpu")).at("3.conv2d", "relu")
    w = builder.weight("w", SHAPE, FAN_IN, FAN_OUT)
    assert w.value.dtype == np.float32
    assert w.decay
    np.testing.assert_array_equal(w.value, draw("he_normal", seed=7, purpose="init.3.conv2d.w").astype(np.float32))


def test_dirac_hands_on_inputs_and_draws_the_rest():
    """As torch.nn.init.dirac_ of the first kernels, for odd and even sizes."""
    draws = {"stream": Stream(0, "init.0.conv2d.w"), "shape": (5, 3, 2, 4), "fan_in": 24, "fan_out": 30}
    w, drawn = initial("dirac", "relu", **draws), initial("auto", "relu", **draws)
    images = np.random.default_rng(0).standard_normal((3, 2, 4))
    assert (np.einsum("krsc,rsc->k", w, images)[:4] == images[1, 1]).all()
    assert (w[4] == drawn[4]).all()
    assert (initial("dirac", None, draws["stream"], (2, 3), 3, 2) == np.eye(2, 3)).all()


@pytest.mark.parametrize("more", [{"groups": 2}, {"connections": [[0], [1]]}])
def test_dirac_is_for_one_group(more):
    with pytest.raises(ArgumentError, match="neither groups nor connections"):
        Conv2d(2, init="dirac", **more)
    with pytest.raises(ArgumentError, match="not for connections"):
        initial("dirac", None, Stream(0, "w"), (5, 3, 3), 9, 9)
