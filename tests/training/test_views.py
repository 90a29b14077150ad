"""Scores averaged over forms of an image: against forms made by hand, and in a run's evaluation and predictions."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpucnn
from gpucnn.config.experiment import Views
from gpucnn.errors import ConfigError
from gpucnn.training.evaluate import evaluate
from gpucnn.training.observer import Observer
from gpucnn.training.views import averaged


def by_hand(x: np.ndarray, mirror: bool, shift: int) -> list[tuple[float, np.ndarray]]:
    """Return the forms of images and their weights, cut out of padded ones."""
    (_, H, W, _), n = x.shape, shift
    padded = np.pad(x, ((0, 0), (n, n), (n, n), (0, 0)), mode="reflect")
    places = [(0.5, n), (0.25, 2 * n), (0.25, 0)] if n else [(1.0, 0)]
    forms = [(weight, padded[:, at : at + H, at : at + W]) for weight, at in places]
    if mirror:
        forms = [(weight / 2, form[:, :, ::step]) for weight, form in forms for step in (1, -1)]
    return forms


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("mirror", "shift"), [(False, 0), (True, 0), (False, 1), (True, 2), (True, 3)])
def test_scores_are_means_over_forms(rng: np.random.Generator, mirror: bool, shift: int, dtype: str) -> None:
    """Of numbers whose sums round nothing. Each form reaches the network contiguous, in its dtype."""
    x, weights = rng.integers(-9, 9, (3, 5, 4, 2)).astype(dtype), rng.integers(-9, 9, (40, 6)).astype(np.float64)
    seen = []

    def scores(form: np.ndarray) -> np.ndarray:
        seen.append((form.dtype, form.flags.c_contiguous))
        return (form.reshape(len(form), -1).astype(float) @ weights).astype(np.float32)

    found = averaged(scores, x, Views(mirror=mirror, shift=shift))
    forms = by_hand(x.astype(float), mirror, shift)
    np.testing.assert_array_equal(found, sum(w * (form.reshape(3, -1) @ weights) for w, form in forms))
    assert found.dtype == np.float32
    assert seen == [(np.dtype(dtype), True)] * len(forms)


def test_the_trained_network_evaluates_and_predicts_by_them(
    small: dict[str, Any], tmp_path: Path, no_plots: None
) -> None:
    """And validation looks at each image once, whatever they are."""
    runs = []
    for name, views in (("plain", {}), ("views", {"mirror": True})):
        config = copy.deepcopy(small) | {"training": {"epochs": 1, "evaluate": views}}
        runs.append(gpucnn.train(config, run_dir=tmp_path / name, observer=Observer()))
    plain, run = runs
    assert run.metrics()[0]["validation_loss"] == plain.metrics()[0]["validation_loss"]
    assert run.results["loss"] != plain.results["loss"]
    assert run.evaluate().loss == run.results["loss"]
    data = gpucnn.training.parts.ExperimentData(run.config, run.device, run.checkpoint)
    test = data.evaluation("test")
    assert test is not None
    assert evaluate(run.model, run.loss, test, views=Views(mirror=True)).loss == run.results["loss"]
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    mirrored = run.predict(images[:, :, ::-1])
    np.testing.assert_allclose(run.predict(images), mirrored, rtol=1e-5)
    assert abs(plain.predict(images) - plain.predict(images[:, :, ::-1])).max() > 1e-3


def test_images_cannot_be_moved_by_all_their_height(small: dict[str, Any]) -> None:
    small["training"]["evaluate"] = {"shift": 8}
    with pytest.raises(ConfigError, match=r"evaluate.shift: is 8, which must be below the images' height and width"):
        gpucnn.config.load(small)
