"""Layers that hold layers: what flows where, whose parameters are whose, and what does not fit together."""

from __future__ import annotations

import numpy as np
import pytest
from checks.examples import STEP, Case, built, made

from gpucnn.errors import ShapeError
from gpucnn.layers.base import Layer


def case(config: dict, shape: tuple[int, ...]) -> Case:
    ((name, arguments),) = config.items()
    return built(made(Layer.registry[name], arguments), shape=shape)


def evaluated(config: dict, x: np.ndarray) -> np.ndarray:
    return case(config, x.shape[1:]).layer.forward(x, train=None)[0]


X = np.array([[[[1.0, -2.0], [3.0, -4.0]]]])  # one image of 1x2, two channels


def test_sequential_goes_through_its_layers_in_order():
    np.testing.assert_array_equal(
        evaluated({"sequential": {"layers": ["relu", {"sum_pool2d": [1, 2]}]}}, X), [[[[4, 0]]]]
    )
    np.testing.assert_array_equal(
        evaluated({"sequential": {"layers": [{"sum_pool2d": [1, 2]}, "relu"]}}, X), [[[[4, 0]]]]
    )
    np.testing.assert_array_equal(evaluated({"sequential": {"layers": ["softplus", "flatten"]}}, X).shape, (1, 4))


@pytest.mark.parametrize("pool", [{"max_pool2d": 2}, {"max_pool2d": {"kernel_size": 3, "stride": 2, "padding": 1}}])
def test_pooling_before_relu_changes_nothing(pool, rng):
    """As it is computed, against the layers one by one in the order of the config; zeros, NaNs and ties among x."""
    sequential = case({"sequential": {"layers": ["relu", pool]}}, (6, 6, 3)).layer
    relu, pooling = sequential.children().values()
    x = rng.integers(-2, 2, (4, 6, 6, 3)).astype(float)
    x[0, 0, 0, 0] = np.nan
    y, saved = sequential.forward(x, train=STEP)
    between, saved_relu = relu.forward(x, train=STEP)
    expected, saved_pool = pooling.forward(between, train=STEP)
    np.testing.assert_array_equal(y, expected)
    dy = rng.standard_normal(y.shape)
    np.testing.assert_array_equal(
        sequential.backward(dy, saved), relu.backward(pooling.backward(dy, saved_pool), saved_relu)
    )


def test_sequential_without_layers_changes_nothing():
    y = evaluated({"residual": {"layers": ["relu"], "shortcut": []}}, X)
    np.testing.assert_array_equal(y, X + np.maximum(X, 0))


def test_repeat_makes_layers_with_parameters_of_their_own(rng):
    config = {"sequential": {"layers": [{"dense": 4}, "tanh"], "repeat": 3}}
    sequential = case(config, (4,))
    weights = [p for path, p in sequential.params().items() if path.endswith(".w")]
    assert len(weights) == 3
    assert len({p.value.tobytes() for p in weights}) == 3
    x = rng.standard_normal((2, 4))
    y = x
    for w in weights:
        y = np.tanh(y @ w.value.T)
    np.testing.assert_allclose(sequential.layer.forward(x, train=None)[0], y, rtol=1e-12)


def test_residual_adds_its_input_to_what_its_layers_make():
    np.testing.assert_array_equal(evaluated({"residual": {"layers": ["relu"]}}, X), X + np.maximum(X, 0))


def test_residual_adds_the_shortcut_where_there_is_one():
    config = {"residual": {"layers": ["relu", "global_avg_pool2d"], "shortcut": ["global_avg_pool2d"]}}
    np.testing.assert_array_equal(evaluated(config, X), [[2 + 2, -3 + 0]])


def test_concat_lays_the_channels_of_its_branches_side_by_side():
    config = {"concat": {"branches": [["relu"], [{"leaky_relu": 0.5}], ["relu", {"sum_pool2d": 1}]]}}
    y = evaluated(config, X)
    relu = np.maximum(X, 0)
    np.testing.assert_array_equal(y, np.concatenate([relu, np.where(X > 0, X, 0.5 * X), relu], axis=-1))


def test_concat_of_features():
    x = np.array([[1.0, -1.0]])
    np.testing.assert_array_equal(
        evaluated({"concat": {"branches": [["relu"], [{"leaky_relu": 0.5}]]}}, x), [[1, 0, 1, -0.5]]
    )


def test_a_gradient_is_the_sum_over_the_ways_it_can_take():
    residual = case({"residual": {"layers": [{"leaky_relu": 0.5}]}}, (2,))
    _, saved = residual.layer.forward(np.array([[3.0, -3.0]]), train=STEP)
    assert residual.layer.backward(np.array([[10.0, 10.0]]), saved).tolist() == [[20, 15]]


@pytest.mark.parametrize(
    ("config", "shape", "words"),
    [
        ({"residual": {"layers": [{"conv2d": 3}]}}, (5, 5, 2), ["5x5x2", "3x3x3", "shortcut"]),
        (
            {"residual": {"layers": [{"conv2d": 3}], "shortcut": [{"conv2d": {"out_channels": 3, "kernel_size": 1}}]}},
            (5, 5, 2),
            ["3x3x3", "5x5x3"],
        ),
        ({"concat": {"branches": [["relu"], [{"max_pool2d": 2}]]}}, (4, 4, 2), ["4x4", "2x2"]),
        ({"concat": {"branches": [["relu"], ["flatten"]]}}, (4, 4, 2), ["4x4x2", "32"]),
    ],
)
def test_shapes_that_do_not_meet_are_refused(config, shape, words):
    ((name, arguments),) = config.items()
    with pytest.raises(ShapeError) as caught:
        made(Layer.registry[name], arguments).output_shape(shape)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["residual", "concat", "sequential"])
def test_a_container_finds_every_layer_inside(name):
    inside = [{"dense": 4}, {"residual": {"layers": [{"dense": 4}, "tanh"]}}]
    arguments = {"branches": [inside, ["tanh"]]} if name == "concat" else {"layers": inside}
    container = case({name: arguments}, (4,))
    assert [layer.name for layer in container.layer.walk()].count("dense") == 2
    paths = [layer.path for layer in container.layer.walk()]
    assert len(set(paths)) == len(paths), (
        "two layers share a path, and so their random numbers and their weights' names"
    )
