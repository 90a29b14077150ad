"""A batch in parts is the batch: the same gradients, and the right words where memory does not suffice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpucnn
from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.errors import OutOfMemory
from gpucnn.layers.dense import Dense
from gpucnn.random import Step
from gpucnn.training.gradients import Gradients
from gpucnn.training.observer import Observer
from gpucnn.training.parts import build_model

STEP = Step(seed=1, index=4)
PLAIN = [{"conv2d": {"out_channels": 3}}, "tanh", {"dropout": 0.4}, "flatten", {"dense": 6}]
CONFIG: dict[str, Any] = {
    "name": "parts",
    "precision": "float64",
    "data": {"dataset": {"synthetic": {"classes": 6, "train": 22, "test": 6}}, "batch_size": 11},
    "model": PLAIN,
    "optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9}},
    "training": {"epochs": 1},
}
WEIGHTED = {"cross_entropy": {"class_weights": [0.1, 1.0, 2.0, 3.0, 0.5, 5.0], "label_smoothing": 0.1}}


def computed(micro_batch: Any, loss: Any = "cross_entropy", model: Any = PLAIN) -> Any:
    """Return loss, images right, gradients, running statistics and messages of one step over 11 images."""
    experiment = load(CONFIG | {"loss": loss, "model": model})
    network = build_model(experiment, (8, 8, 1), Device("cpu"))
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((11, 8, 8, 1)), rng.integers(0, 6, 11)
    told: list[str] = []
    result = Gradients(network, experiment.loss.build(), micro_batch, told.append).compute(x, labels, STEP)
    return result, {name: p.grad for name, p in network.params.items()}, network.state, told


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dense layer that has room for three images."""
    forward = Dense.forward

    def limited(self: Dense, x: Any, *, train: Any = None) -> Any:
        if len(x) > 3:
            raise MemoryError(f"no room for {len(x)} images")
        return forward(self, x, train=train)

    monkeypatch.setattr(Dense, "forward", limited)


@pytest.mark.parametrize("loss", ["cross_entropy", WEIGHTED, "mse", {"mse": {"reduction": "half_sum"}}])
@pytest.mark.parametrize("size", [1, 4, 10, 11, 50])
def test_parts_add_up_to_the_batch(size: int, loss: Any) -> None:
    (value, right), gradients, _, told = computed(size, loss)
    (expected_value, expected_right), expected, _, _ = computed(None, loss)
    assert (value, right, told) == (pytest.approx(expected_value, rel=1e-13), expected_right, [])
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-10, atol=1e-14, err_msg=name)


def test_without_parts_there_is_one_that_is_too_large(small_memory: None) -> None:
    with pytest.raises(OutOfMemory) as caught:
        computed(None)
    for words in [
        "layer 4.dense",
        "no room for 11 images",
        "3 images at a time fit",
        "micro_batch",
        "data.batch_size to 3",
    ]:
        assert words in str(caught.value)


def test_auto_finds_what_fits_and_says_so(small_memory: None) -> None:
    (value, _), gradients, _, told = computed("auto")
    assert len(told) == 1
    assert "parts of 3 images" in told[0]
    assert "batch_norm" not in told[0]
    (expected_value, _), expected, _, _ = computed(3)
    assert value == expected_value
    for name, gradient in expected.items():
        np.testing.assert_array_equal(gradients[name], gradient)


def test_a_failed_try_leaves_no_trace_and_batch_norm_is_warned_of(small_memory: None) -> None:
    model = [PLAIN[0], "batch_norm", *PLAIN[1:]]
    _, _, statistics, told = computed("auto", model=model)
    assert "batch_norm takes each part's statistics" in told[0]
    for name, array in computed(3, model=model)[2].items():
        np.testing.assert_array_equal(statistics[name], array)


def test_not_even_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise MemoryError("nothing left")

    monkeypatch.setattr(Dense, "forward", never)
    with pytest.raises(OutOfMemory, match=r"nothing left.*not even one image fits"):
        computed("auto")


def test_training_goes_on_in_parts(tmp_path: Any, small_memory: None) -> None:
    messages: list[str] = []

    class Listening(Observer):
        def message(self, text: str) -> None:
            messages.append(text)

    run = gpucnn.train(
        CONFIG | {"training": {"epochs": 1, "micro_batch": "auto"}}, run_dir=tmp_path / "run", observer=Listening()
    )
    assert len([text for text in messages if "parts of 3 images" in text]) == 1  # it learns from the first step
    assert run.progress.step == 2
