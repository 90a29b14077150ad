"""Layers with weights and layers that reshape: sizes, orders and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from checks.examples import built, made

from gpucnn import ops
from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.layers.base import Layer


def layer(name: str, **arguments) -> Layer:
    return made(Layer.registry[name], arguments)


def test_conv2d_holds_kernels_and_a_bias_and_convolves(rng):
    conv = built(
        layer("conv2d", out_channels=6, kernel_size=[3, 2], stride=2, padding="same", groups=2), shape=(7, 5, 4)
    ).layer
    assert {key: (p.value.shape, p.decay) for key, p in conv.params.items()} == {
        "w": ((6, 3, 2, 2), True),
        "b": ((6,), False),
    }
    conv.params["b"].value += rng.standard_normal(6)
    x = rng.standard_normal((2, 7, 5, 4))
    expected = ops.conv2d(x, conv.params["w"].value, conv.params["b"].value, stride=2, padding="same", groups=2)
    np.testing.assert_array_equal(conv.forward(x, train=None)[0], expected)


def test_dense_holds_weights_and_a_bias_and_multiplies(rng):
    dense = built(layer("dense", out_features=3), shape=(5,)).layer
    assert {key: (p.value.shape, p.decay) for key, p in dense.params.items()} == {
        "w": ((3, 5), True),
        "b": ((3,), False),
    }
    dense.params["b"].value += rng.standard_normal(3)
    x = rng.standard_normal((2, 5))
    np.testing.assert_array_equal(
        dense.forward(x, train=None)[0], ops.dense(x, dense.params["w"].value, dense.params["b"].value)
    )


@pytest.mark.parametrize("name", ["conv2d", "dense"])
def test_without_a_bias_there_is_none(name):
    size = {"conv2d": {"out_channels": 2}, "dense": {"out_features": 2}}[name]
    case = built(layer(name, bias=False, **size))
    assert list(case.layer.params) == ["w"]


def test_biases_start_at_zero():
    assert not built(layer("conv2d", out_channels=2)).layer.params["b"].value.any()


def test_flatten_lays_out_rows_then_columns_then_channels_and_back():
    flatten = built(layer("flatten"), shape=(2, 3, 2)).layer
    x = np.arange(24.0).reshape(2, 2, 3, 2)
    y, saved = flatten.forward(x, train=None)
    assert y.tolist() == [list(range(12)), list(range(12, 24))]
    np.testing.assert_array_equal(flatten.backward(y, saved), x)
    assert flatten.output_shape((5,)) == (5,)


@pytest.mark.parametrize(
    ("config", "shape", "output"),
    [
        (("conv2d", {"out_channels": 8}), (28, 28, 1), (26, 26, 8)),
        (("conv2d", {"out_channels": 8, "padding": "same", "stride": 2}), (7, 5, 3), (4, 3, 8)),
        (("max_pool2d", {}), (7, 5, 3), (3, 2, 3)),
        (("avg_pool2d", {"kernel_size": 3, "stride": 1}), (7, 5, 3), (5, 3, 3)),
        (("sum_pool2d", {"kernel_size": [1, 2]}), (7, 5, 3), (7, 2, 3)),
        (("global_avg_pool2d", {}), (7, 5, 3), (3,)),
        (("flatten", {}), (7, 5, 3), (105,)),
        (("dense", {"out_features": 10}), (105,), (10,)),
        (("batch_norm", {}), (7, 5, 3), (7, 5, 3)),
    ],
)
def test_output_shapes(config, shape, output):
    assert layer(config[0], **config[1]).output_shape(shape) == output


@pytest.mark.parametrize(
    ("config", "shape", "words"),
    [
        (("conv2d", {"out_channels": 8}), (5,), ["5", "(H, W, C)"]),
        (("conv2d", {"out_channels": 8, "kernel_size": 9}), (5, 5, 3), ["9x9", "5x5"]),
        (("conv2d", {"out_channels": 8, "groups": 2}), (5, 5, 3), ["groups", "2", "3"]),
        (("conv2d", {"out_channels": 3, "groups": 2}), (5, 5, 4), ["groups", "2", "3"]),
        (("max_pool2d", {"kernel_size": 6}), (5, 5, 3), ["6x6", "5x5"]),
        (("max_pool2d", {}), (5,), ["5"]),
        (("global_avg_pool2d", {}), (5,), ["5"]),
        (("dense", {"out_features": 10}), (5, 5, 3), ["5x5x3", "flatten"]),
    ],
)
def test_shapes_that_do_not_fit_are_refused(config, shape, words):
    with pytest.raises(ShapeError) as caught:
        layer(config[0], **config[1]).output_shape(shape)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("conv2d", {"out_channels": 0}, ["out_channels", "0"]),
        ("conv2d", {"out_channels": 2.5}, ["out_channels", "2.5"]),
        ("conv2d", {"out_channels": 2, "kernel_size": [3, 0]}, ["kernel_size", "[3, 0]"]),
        ("conv2d", {"out_channels": 2, "padding": "smae"}, ["padding", "'smae'", "same"]),
        ("conv2d", {"out_channels": 2, "init": "he"}, ["init", "'he'", "he_normal"]),
        ("max_pool2d", {"stride": 0}, ["stride", "0"]),
        ("dense", {"out_features": True}, ["out_features", "true"]),
        ("batch_norm", {"eps": -1.0}, ["eps", "-1.0"]),
        ("batch_norm", {"momentum": 2.0}, ["momentum", "2.0"]),
        ("sequential", {"layers": ["relu"], "repeat": 0}, ["repeat", "0"]),
        ("elu", {"alpha": -1.0}, ["alpha", "-1.0"]),
    ],
)
def test_arguments_are_checked_in_python_as_in_a_config(name, arguments, words):
    with pytest.raises(ArgumentError) as caught:
        Layer.registry[name](**arguments)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("following", "variance"),
    [
        (["relu"], 2 / (9 * 16)),
        (["batch_norm", "relu"], 2 / (9 * 16)),
        (["max_pool2d", "dropout", "gelu"], 2 / (9 * 16)),
        (["tanh"], 2 / (9 * 16 + 9 * 64)),
        (["batch_norm", "scaled_tanh"], 1 / (9 * 16)),
        ([], 2 / (9 * 16 + 9 * 64)),
        (["flatten", {"dense": 2}, "relu"], 2 / (9 * 16 + 9 * 64)),  # the relu is the dense layer's
    ],
)
def test_weights_are_drawn_for_the_activation_that_follows(following, variance):
    layers = [{"conv2d": {"out_channels": 64, "kernel_size": 3}}, *following]
    case = built(layer("sequential", layers=layers), shape=(8, 8, 16))
    w = next(p for path, p in case.params().items() if path.endswith("conv2d.w")).value
    assert w.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / w.size))  # five standard errors of a variance


def test_an_initialiser_that_is_named_is_taken():
    layers = [{"conv2d": {"out_channels": 64, "init": "zeros"}}, "relu"]
    case = built(layer("sequential", layers=layers), shape=(8, 8, 16))
    assert not any(p.value.any() for p in case.params().values())
