"""A loaded run: found by folder or by checkpoint file; predicts from raw images; needs no data set for it."""

from __future__ import annotations

import copy
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpucnn
from gpucnn.data.synthetic import Synthetic
from gpucnn.errors import ArgumentError, CheckpointError, RunError, ShapeError
from gpucnn.training.observer import Observer
from gpucnn.training.run_folder import by_step

IMAGES = Synthetic(8, 1, 6, 120, 40).load("test").read(np.arange(40))
LABELS = np.arange(40) % 6


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[gpucnn.Run]:
    """A run of two epochs; not to be changed."""
    small = copy.deepcopy(request.getfixturevalue("small_config")) | {"training": {"epochs": 2}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        yield gpucnn.train(small, run_dir=tmp_path_factory.mktemp("runs") / "x", observer=Observer())


@pytest.fixture
def folder(trained: gpucnn.Run, tmp_path: Path) -> Path:
    """A copy of the run's folder."""
    return shutil.copytree(trained.path, tmp_path / "copy")


def test_predictions_are_what_evaluation_counts(trained: gpucnn.Run) -> None:
    probabilities = trained.predict(IMAGES)
    assert probabilities.shape == (40, 6)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)  # six float32 roundings
    assert (probabilities.argmax(axis=1) == LABELS).mean() == trained.evaluate().accuracy
    assert trained.classes == tuple("012345")


def test_every_form_of_the_same_images_gives_the_same(trained: gpucnn.Run) -> None:
    expected = trained.predict(IMAGES)
    assert (trained.predict(IMAGES[..., 0]) == expected).all()
    assert (trained.predict(IMAGES.tolist()) == expected).all()
    one = trained.predict(IMAGES[7, ..., 0])
    np.testing.assert_allclose(one, expected[7:8], rtol=1e-5)  # another batch size, another order of sums
    np.testing.assert_allclose(trained.predict(IMAGES / 255), expected, rtol=1e-4, atol=1e-6)
    assert trained.predict(IMAGES[:0]).shape == (0, 6)


@pytest.mark.parametrize(("normalize", "mean", "std"), [("none", 0, 1), ({"mean": [0.25], "std": [0.5]}, 0.25, 0.5)])
def test_images_are_normalised_as_the_config_says(
    small: dict[str, Any], tmp_path: Path, no_plots: None, normalize: Any, mean: float, std: float
) -> None:
    small["data"]["normalize"], small["training"] = normalize, {"epochs": 1}
    run = gpucnn.train(small, run_dir=tmp_path)
    scores, _ = run.model.forward(((IMAGES / 255 - mean) / std).astype(np.float32))
    np.testing.assert_allclose(run.predict(IMAGES), run.loss.probabilities(scores), rtol=1e-4, atol=1e-6)


def test_other_images_are_refused(trained: gpucnn.Run) -> None:
    with pytest.raises(ShapeError, match=r"takes \(N, 8, 8, 1\)"):
        trained.predict(IMAGES[:, :7])
    with pytest.raises(ArgumentError, match="trained on uint8 images"):
        trained.predict(IMAGES.astype(np.float32))


def test_a_folder_and_its_last_checkpoint_are_the_same_run(trained: gpucnn.Run) -> None:
    by_folder, by_file = gpucnn.load(trained.path), gpucnn.load(str(by_step(trained.path)[0]))
    assert by_folder.path == by_file.path == trained.path
    assert by_folder.metrics() == by_file.metrics() == trained.metrics()
    assert by_folder.results == by_file.results != {}
    assert (by_folder.predict(IMAGES) == by_file.predict(IMAGES)).all()
    assert repr(by_file) == f"Run({str(trained.path)!r}, epoch 2, step 12)"


def test_a_checkpoint_alone_predicts_without_data_and_folder(
    trained: gpucnn.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Path(shutil.copy(by_step(trained.path)[0], tmp_path / "model.safetensors"))
    monkeypatch.setattr(Synthetic, "info", None)
    monkeypatch.setattr(Synthetic, "load", None)
    run = gpucnn.load(alone)
    assert (run.predict(IMAGES) == trained.predict(IMAGES)).all()
    assert (run.path, run.results, run.metrics()) == (alone, {}, [])


def test_a_damaged_checkpoint_is_passed_over_and_told(folder: Path) -> None:
    last, before = by_step(folder)
    last.write_bytes(last.read_bytes()[:-3])
    run = gpucnn.load(folder)
    assert run.source == before
    assert len(run.damaged) == 1
    assert f"{last}: cut short" in run.damaged[0]
    before.write_bytes(b"")
    with pytest.raises(CheckpointError, match="none of its 2 checkpoint"):
        gpucnn.load(folder)


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="absent does not exist: give a run folder or a checkpoint file"):
        gpucnn.load(tmp_path / "absent")
    with pytest.raises(RunError, match="holds no checkpoint"):
        gpucnn.load(tmp_path)


def test_damaged_results_are_named(folder: Path) -> None:
    (folder / "evaluation.json").write_text("{")
    with pytest.raises(RunError, match=r"evaluation.json is not JSON"):
        _ = gpucnn.load(folder).results


def test_evaluation_knows_three_splits(trained: gpucnn.Run) -> None:
    assert [trained.evaluate(split).images for split in ("train", "validation", "test")] == [96, 24, 40]
    with pytest.raises(ArgumentError, match=r"split \(='all'\) must be one of train, validation, test"):
        trained.evaluate("all")


def test_another_data_set_is_refused(trained: gpucnn.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    trained_on = Synthetic(8, 1, 6, 120, 40).info()
    other: Any = Synthetic(9, 1, 6, 120, 40)
    monkeypatch.setattr(Synthetic, "info", lambda self: other._info)
    with pytest.raises(CheckpointError, match=r"trained on images of shape \(8, 8, 1\), but .* shape \(9, 9, 1\)"):
        trained.evaluate()
    other = Synthetic(8, 1, 7, 120, 40)
    with pytest.raises(CheckpointError, match=r"trained on 6 classes, but the data set has 7: is it another one"):
        trained.evaluate()
    other._info = replace(trained_on, classes=("0", "1", "two", "3", "4", "5"))
    with pytest.raises(CheckpointError, match=r"trained on class 2 called '2', but the data set has it called 'two'"):
        trained.evaluate()
