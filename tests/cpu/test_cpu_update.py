"""Steps of optimizers, compiled and by NumPy: the bits of the reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gpucnn import ops
from gpucnn.cpu.update import CHUNK
from gpucnn.dispatch import using

pytestmark = pytest.mark.usefixtures("way")

SHAPES = [(3, CHUNK // 2 + 7), (5,), (0,), (67, 31)]
"""More than a chunk, and several arrays in one."""

ADAM = {"lr": 0.003, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def bits_are_those_of_the_reference(operation, slots, rng, **options):
    """Take three steps both ways, from the same arrays, some of whose numbers are not finite."""
    arrays = [[rng.standard_normal(shape).astype(np.float32) for shape in SHAPES] for _ in range(2)]
    arrays += [[rng.random(shape, np.float32) for shape in SHAPES] for _ in range(slots)]
    arrays[1][0][0, :4] = np.inf, -np.inf, np.nan, -0.0
    found = {}
    for impl in ("fast", "reference"):
        lists = [[array.copy() for array in kept] for kept in arrays]
        given = lists if slots or operation is not ops.sgd_update else [*lists, None]
        with using(impl), np.errstate(all="ignore"):
            for step in range(3):
                more = {"step": step} if operation is ops.adam_update else {}
                operation(*given, [True, False, True, True], **options, **more)
        found[impl] = lists
    for fast, expected in zip(*(itertools.chain(*lists) for lists in found.values()), strict=True):
        np.testing.assert_array_equal(fast.view(np.uint32)[~np.isnan(fast)], expected.view(np.uint32)[~np.isnan(fast)])
        np.testing.assert_array_equal(np.isnan(fast), np.isnan(expected))
    assert any((one != other).any() for one, other in zip(found["fast"][0], arrays[0], strict=True))


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd(momentum, nesterov, decay, rng):
    options = {"lr": 0.1, "momentum": momentum, "decay": decay, "nesterov": nesterov}
    bits_are_those_of_the_reference(ops.sgd_update, int(momentum > 0), rng, **options)


@pytest.mark.parametrize(("decay", "decoupled"), [(0.0, False), (0.01, False), (0.01, True)])
def test_adam(decay, decoupled, rng):
    bits_are_those_of_the_reference(ops.adam_update, 2, rng, **ADAM, decay=decay, decoupled=decoupled)


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_adagrad(decay, rng):
    bits_are_those_of_the_reference(ops.adagrad_update, 1, rng, lr=0.1, eps=1e-10, decay=decay)


def test_what_is_read_from_arrays(rng):
    scale = {"unscale": np.array([256], np.float32), "skip": np.zeros(1, np.int32)}
    bits_are_those_of_the_reference(ops.adagrad_update, 1, rng, lr=0.1, eps=1e-10, decay=0.01, **scale)
    value, grad = np.ones(3, np.float32), np.ones(3, np.float32)
    options = {"lr": 0.5, "momentum": 0.0, "decay": 0.0, "nesterov": False}
    ops.sgd_update([value], [grad], None, [True], **options, skip=np.ones(1, np.int32))
    assert value.tolist() == [1, 1, 1]
    ops.sgd_update([value], [grad], None, [True], **options, numbers=np.array([2], np.float32))
    assert value.tolist() == [-1, -1, -1]
