"""Gradients against differences of the function itself, in float64, along random directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checks.examples import STEP, Case

REACH = 1e-3
TOLERANCE = 1e-6
DIRECTIONS = 3
FLOOR = 1e-6
"""A slope below this is rounding: zero. Where both sides are zero, nothing has been checked."""


def assert_gradient(
    name: str, function: Callable[[], float], at: np.ndarray, gradient: np.ndarray, rng: np.random.Generator
) -> None:
    """Fail unless `gradient` is that of `function` with respect to the array `at`, which the function reads.

    Along a direction v, the slope d/dt f(at + t v) is the sum of gradient * v. It is measured by the central difference
    of fourth order: for t = 1e-3 and functions of size 1, wrong by some t^4 = 1e-12 and by 2^-53 / t = 1e-13, so that a
    relative error of 1e-6 is a wrong gradient. No coordinate of `at` moves by more than 2 t.
    """
    assert at.dtype == gradient.dtype == np.float64
    assert at.shape == gradient.shape, f"{name}: gradient {gradient.shape} of an array {at.shape}"
    start = at.copy()

    def along(direction: np.ndarray, t: float) -> float:
        at[...] = start + t * direction
        value = function()
        at[...] = start
        return value

    for _ in range(DIRECTIONS):
        direction = rng.uniform(-1, 1, at.shape)
        near = along(direction, REACH) - along(direction, -REACH)
        far = along(direction, 2 * REACH) - along(direction, -2 * REACH)
        measured, claimed = (8 * near - far) / (12 * REACH), float((gradient * direction).sum())
        size = max(abs(measured), abs(claimed))
        assert size > FLOOR, f"{name}: both slopes are zero ({measured:.1e}, {claimed:.1e}): this checks nothing"
        assert abs(measured - claimed) < TOLERANCE * size, f"{name}: slope {measured:.9g}, gradient says {claimed:.9g}"


def spread(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return evenly spaced numbers from -2 to 2 in random order: no two are near, and none is near 0.

    So no step of a gradient check crosses the bend of a relu, or changes which element is a maximum.
    """
    count = int(np.prod(shape))
    numbers = np.linspace(-2, 2, count + count % 2)[:count]  # an even number of them leaves 0 out
    assert 4 / count > 8 * REACH, "too many numbers to keep them apart: take a smaller shape"
    return rng.permutation(numbers).reshape(shape)


def check_gradients(case: Case, rng: np.random.Generator) -> None:
    """Check the gradients of a layer with respect to its input and to each parameter, its own and those inside it."""
    x = spread((2, *case.shape), rng)
    for p in case.params().values():
        p.value += rng.uniform(-0.3, 0.3, p.value.shape)  # away from 0 and 1, where mistakes hide
    y, saved = case.layer.forward(x, train=STEP)
    dy = rng.standard_normal(y.shape)
    dx = case.layer.backward(dy, saved)

    def value() -> float:
        return float((case.layer.forward(x, train=STEP)[0] * dy).sum())

    assert_gradient("x", value, x, dx, rng)
    for path, p in case.params().items():
        assert p.grad is not None, f"{path} has no gradient"
        assert_gradient(path, value, p.value, p.grad, rng)
