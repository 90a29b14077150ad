"""What holds for every layer, checked for all that are registered: a new one is covered by its name alone."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from checks.arrays import LAYOUTS, held
from checks.examples import FLAT, IMAGE, STEP, built, examples, made
from checks.gradient import check_gradients, spread

from gpucnn.errors import ShapeError
from gpucnn.layers.base import Layer

CASES = [
    pytest.param(cls, arguments, id=f"{name}-{number}")
    for name, cls in Layer.registry.classes.items()
    for number, arguments in enumerate(examples(cls))
]
every_layer = pytest.mark.parametrize(("cls", "arguments"), CASES)


@every_layer
def test_gradients_are_those_of_the_forward_pass(cls, arguments, rng):
    check_gradients(built(made(cls, arguments)), rng)


@every_layer
def test_the_output_has_the_shape_that_was_inferred(cls, arguments, rng):
    case = built(made(cls, arguments))
    inferred = case.layer.output_shape(case.shape)
    for train, images in [(STEP, 2), (None, 2), (None, 1)]:
        y, _ = case.layer.forward(spread((images, *case.shape), rng), train=train)
        assert y.shape == (images, *inferred)
    assert isinstance(case.layer.flops(case.shape), int)
    assert case.layer.flops(case.shape) >= 0


@every_layer
def test_an_empty_batch_can_be_evaluated(cls, arguments):
    case = built(made(cls, arguments))
    y, _ = case.layer.forward(np.zeros((0, *case.shape)), train=None)
    assert y.shape == (0, *case.layer.output_shape(case.shape))


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept_everywhere(cls, arguments, dtype, rng):
    case = built(made(cls, arguments), dtype=dtype)
    y, saved = case.layer.forward(spread((2, *case.shape), rng).astype(dtype), train=STEP)
    dx = case.layer.backward(rng.standard_normal(y.shape).astype(dtype), saved)
    evaluated, _ = case.layer.forward(spread((2, *case.shape), rng).astype(dtype), train=None)
    held_by = {"y": y, "dx": dx, "evaluated y": evaluated}
    held_by |= {path: p.value for path, p in case.params().items()}
    held_by |= {f"gradient of {path}": p.grad for path, p in case.params().items()}
    held_by |= {key: value for layer in case.layer.walk() for key, value in layer.state.items()}
    assert {name: array.dtype for name, array in held_by.items() if array.dtype != dtype} == {}


@every_layer
@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_inputs_of_any_layout_are_read_and_never_changed(cls, arguments, layout, rng):
    case = built(made(cls, arguments))
    x = spread((2, *case.shape), rng)
    y, saved = case.layer.forward(x, train=STEP)
    dy = rng.standard_normal(y.shape)
    x_held, dy_held = held(x, layout), held(dy, layout)  # read-only: writing to them raises
    other_y, saved = case.layer.forward(x_held, train=STEP)
    np.testing.assert_allclose(other_y, y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        case.layer.backward(dy_held, saved), case.layer.backward(dy, saved), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_array_equal(x_held, x)
    np.testing.assert_array_equal(dy_held, dy)


@every_layer
def test_a_step_is_repeated_to_the_bit(cls, arguments, rng):
    case = built(made(cls, arguments))
    x = spread((2, *case.shape), rng)
    dy, results = None, []
    for _ in range(2):
        for p in case.params().values():
            p.grad = None
        y, saved = case.layer.forward(x, train=STEP)
        dy = rng.standard_normal(y.shape) if dy is None else dy
        dx = case.layer.backward(dy, saved)
        results.append([y, dx, *(p.grad for p in case.params().values())])
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


@every_layer
def test_gradients_of_parameters_add_up_until_they_are_cleared(cls, arguments, rng):
    case = built(made(cls, arguments))
    y, saved = case.layer.forward(spread((2, *case.shape), rng), train=STEP)
    dy = rng.standard_normal(y.shape)
    first = case.layer.backward(dy, saved).copy()
    once = {path: p.grad.copy() for path, p in case.params().items()}
    np.testing.assert_array_equal(case.layer.backward(dy, saved), first)  # dx does not add up
    for path, p in case.params().items():
        np.testing.assert_array_equal(p.grad, 2 * once[path])


@every_layer
def test_evaluating_changes_nothing(cls, arguments, rng):
    case = built(made(cls, arguments))
    x = spread((2, *case.shape), rng)
    case.layer.forward(x, train=STEP)
    state = {(layer.path, key): value.copy() for layer in case.layer.walk() for key, value in layer.state.items()}
    first, _ = case.layer.forward(x, train=None)
    second, _ = case.layer.forward(x, train=None)
    np.testing.assert_array_equal(first, second)
    for layer in case.layer.walk():
        for key, value in layer.state.items():
            np.testing.assert_array_equal(value, state[layer.path, key])


@every_layer
def test_an_image_is_evaluated_alone_as_in_a_batch(cls, arguments, rng):
    case = built(made(cls, arguments))
    x = spread((3, *case.shape), rng)
    batch, _ = case.layer.forward(x, train=None)
    for n in range(3):
        alone, _ = case.layer.forward(x[n : n + 1], train=None)
        np.testing.assert_allclose(alone[0], batch[n], rtol=1e-12, atol=1e-12)


@every_layer
@pytest.mark.parametrize("shape", [IMAGE, FLAT, (1, 1, 1), (1, 1, 4), (2, 3), (1,)])
def test_a_shape_fits_or_is_refused_as_a_shape(cls, arguments, shape):
    with contextlib.suppress(ShapeError):  # any other error fails
        assert all(isinstance(size, int) and size > 0 for size in made(cls, arguments).output_shape(shape))


@every_layer
def test_building_again_starts_afresh_and_from_the_same_seed(cls, arguments):
    case = built(made(cls, arguments))
    first = {path: p.value.copy() for path, p in case.params().items()}
    again = built(case.layer)
    assert {path: p.value.tolist() for path, p in again.params().items()} == {k: v.tolist() for k, v in first.items()}
    assert all(p.grad is None for p in again.params().values())
