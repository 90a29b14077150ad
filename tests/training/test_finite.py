"""Values that are not finite are seen, and traced to where they first arise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.random import Step
from gpucnn.training.finite import all_finite, first_gradient, first_in_forward
from gpucnn.training.parts import build_model


@pytest.fixture
def model(small: dict[str, Any]) -> Any:
    return build_model(load(small), (8, 8, 1), Device("cpu"))


X = np.ones((2, 8, 8, 1), np.float32)
STEP = Step(seed=0, index=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_bad_element_is_seen(bad: float, dtype: Any) -> None:
    array = np.ones((3, 5), dtype)
    assert all_finite([array])
    array[2, 4] = bad
    assert not all_finite([np.zeros(2, dtype), array, np.zeros(2, dtype)])


def test_large_numbers_are_finite() -> None:
    assert all_finite([np.full(7, np.finfo(np.float32).max), np.full(7, np.finfo(np.float64).max)])


def test_nothing_is_found_where_all_is_finite(model: Any) -> None:
    model.backward(*_passed(model))
    assert first_in_forward(model, X, STEP) is None
    assert first_gradient(model.params) is None


def _passed(model: Any) -> tuple[np.ndarray, Any]:
    scores, saved = model.forward(X, train=STEP)
    return np.ones_like(scores), saved


def test_a_parameter_is_named(model: Any) -> None:
    model.params["6.dense.w"].value[0, :2] = np.nan
    assert first_in_forward(model, X, STEP) == "parameter 6.dense.w (2 of 384 elements)"


def test_the_batch_is_named(model: Any) -> None:
    x = X.copy()
    x[1, 0, 0, 0] = np.inf
    assert first_in_forward(model, x, STEP) == "the images of the batch (1 of 128 elements)"


def test_the_first_layer_whose_output_is_bad_is_named(model: Any) -> None:
    model.params["0.conv2d.w"].value[...] = 3e38
    with np.errstate(all="ignore"):
        assert str(first_in_forward(model, X, STEP)).startswith("the output of layer 0.conv2d (")
    model.params["0.conv2d.w"].value[...] = 1
    model.params["6.dense.w"].value[...] = 3e38
    model.params["1.batch_norm.beta"].value[...] = 10
    with np.errstate(all="ignore"):
        assert str(first_in_forward(model, X, STEP)).startswith("the output of layer 6.dense (")
    assert all("forward" not in vars(layer) for layer in model.layers.walk())  # nothing is left behind


def test_the_gradient_that_goes_bad_first_is_named(model: Any) -> None:
    model.backward(*_passed(model))
    for path in ("0.conv2d.w", "1.batch_norm.beta"):  # backward reaches the later layer first
        model.params[path].grad.flat[0] = np.nan
    assert first_gradient(model.params) == "the gradient of 1.batch_norm.beta (1 of 4 elements)"
