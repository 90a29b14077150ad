"""The checks over the registry can fail: they see wrong gradients, missing ones, and layers they have no example of."""

from __future__ import annotations

import numpy as np
import pytest
from checks.examples import BRANCH, built, examples
from checks.gradient import assert_gradient, check_gradients, spread

from gpucnn.arguments import PositiveInt
from gpucnn.layers.base import Layer, Parameter


class Stretched(Layer):
    """y = (factor + a) x, whose gradients are multiplied by `wrong_x` and `wrong_a`."""

    name = "stretched"
    wrong_x = wrong_a = 1.0

    def __init__(self, factor: PositiveInt) -> None:
        super().__init__()
        self.factor = factor

    def build(self, shape, builder):
        super().build(shape, builder)
        self.params["a"] = Parameter(np.zeros(1))

    def forward(self, x, *, train=None):
        return (self.factor + self.params["a"].value) * x, x

    def backward(self, dy, saved):
        self.params["a"].accumulate(self.wrong_a * (dy * saved).sum(keepdims=True).reshape(1))
        return self.wrong_x * (self.factor + self.params["a"].value) * dy


def test_a_new_layer_is_tried_with_guessed_arguments(rng):
    (arguments,) = examples(Stretched)
    assert arguments == {"factor": 2}
    check_gradients(built(Stretched(**arguments)), rng)


@pytest.mark.parametrize(("attribute", "name"), [("wrong_x", "x"), ("wrong_a", r"layer\.a")])
@pytest.mark.parametrize(("factor", "words"), [(1 + 1e-5, "slope"), (0.5, "slope"), (0.0, "slope")])
def test_a_wrong_gradient_fails(monkeypatch, rng, attribute, name, factor, words):
    monkeypatch.setattr(Stretched, attribute, factor)
    with pytest.raises(AssertionError, match=f"{name}: {words}"):
        check_gradients(built(Stretched(2)), rng)


def test_a_gradient_of_another_shape_fails(rng):
    x = np.ones(3)
    with pytest.raises(AssertionError, match="gradient"):
        assert_gradient("x", lambda: float(x.sum()), x, np.ones(1), rng)


def test_both_sides_zero_fails(rng):
    x = np.ones(3)
    with pytest.raises(AssertionError, match="checks nothing"):
        assert_gradient("x", lambda: 0.0, x, np.zeros(3), rng)


def test_a_check_leaves_the_array_as_it_was(rng):
    x = spread((3, 4), rng)
    before = x.copy()
    assert_gradient("x", lambda: float((x**2).sum()), x, 2 * x, rng)
    np.testing.assert_array_equal(x, before)


def test_spread_keeps_numbers_apart(rng):
    x = np.sort(spread((2, 6, 5, 4), rng), axis=None)
    assert abs(x).min() > 2e-3
    assert np.diff(x).min() > 4e-3


def test_what_cannot_be_guessed_asks_for_an_example():
    class Odd(Layer):
        name = "odd"

        def __init__(self, table: dict[str, int]) -> None: ...

    with pytest.raises(pytest.fail.Exception, match=r"layer 'odd': table .* add it to STAND_INS"):
        examples(Odd)


def test_layers_inside_of_layers_are_guessed():
    class Twice(Layer):
        name = "twice"

        def __init__(self, layers: list[Layer]) -> None: ...

    assert examples(Twice) == [{"layers": BRANCH}]
