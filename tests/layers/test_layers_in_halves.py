"""Every layer on halves: computed in float32, rounded once; parameters and their gradients stay float32."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near
from checks.examples import STEP, built, examples, made
from checks.halves import HALVES

from gpucnn.layers.base import Layer, refresh

ALL = [
    pytest.param(cls, arguments, id=f"{name}-{number}")
    for name, cls in Layer.registry.classes.items()
    for number, arguments in enumerate(examples(cls))
]
SINGLE = [case for case in ALL if not made(*case.values).children()]
every_half = pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)


@every_half
@pytest.mark.parametrize(("cls", "arguments"), ALL)
def test_what_layers_hand_on_is_half_and_what_they_learn_is_not(cls, arguments, half):
    case = built(made(cls, arguments), dtype=half.dtype)
    (x,) = half.numbers(1, (3, *case.shape))
    y, saved = case.layer.forward(x, train=STEP)
    dx = case.layer.backward(y, saved)
    evaluated, _ = case.layer.forward(x, train=None)
    assert {array.dtype for array in (y, dx, evaluated)} == {half.dtype}
    kept = [array for p in case.params().values() for array in (p.value, p.grad)]
    kept += [array for layer in case.layer.walk() for array in layer.state.values()]
    assert {array.dtype for array in kept} <= {np.dtype(np.float32)}


@every_half
@pytest.mark.parametrize(("cls", "arguments"), SINGLE)
def test_a_layer_rounds_once(cls, arguments, half):
    """Against the same layer in float64, of the same halves: numbers of size 1 to 8, sums of up to 100 terms."""
    case, exact = (built(made(cls, arguments), dtype=dtype) for dtype in (half.dtype, np.float64))
    shape = (3, *case.shape)
    x, dy = half.numbers(2, shape, (3, *case.layer.output_shape(case.shape)))
    for i, (p, q) in enumerate(zip(case.params().values(), exact.params().values(), strict=True)):
        p.value += half.numbers(3 + i, p.value.shape)[0].astype(np.float32) / 4
        refresh([p])
        q.value[...] = p.operand
    passes = []
    for layer, given in ((case.layer, (x, dy)), (exact.layer, (np.float64(x), np.float64(dy)))):
        y, saved = layer.forward(given[0], train=STEP)
        passes.append((y, layer.backward(given[1], saved)))
    (y, dx), (expected_y, expected_dx) = passes
    half.assert_near(y, expected_y, size=8, roundings=100)
    of_y = 4 * half.unit / np.finfo(np.float32).eps  # some compute dx from y, which is rounded; 1 - y^2 twice as much
    half.assert_near(dx, expected_dx, size=np.abs(np.float64(dy)).max(), roundings=100 + of_y)
    for p, q in zip(case.params().values(), exact.params().values(), strict=True):
        assert_near(p.grad, q.grad, np.float32, size=8, roundings=100)
