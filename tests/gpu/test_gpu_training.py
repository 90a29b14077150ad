"""Training on a GPU: as good as on the CPU, the same bits twice, and checkpoints that go from one to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpucnn
from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.resources import find_config
from gpucnn.training.observer import Observer
from gpucnn.training.parity import Side, parity

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]

SMALL = ["training.epochs=2", "data.batch_size=128"]


@pytest.fixture(scope="module", autouse=True)
def no_plots() -> Any:
    """Matplotlib is not installed: nothing is drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "matplotlib", None)
        yield


def train(folder: Path, device: str, *overrides: str, resume: bool = False) -> gpucnn.Run:
    """Train digits, silently."""
    settings = {"run_dir": folder, "device": device, "resume": resume, "observer": Observer()}
    return gpucnn.train("digits", overrides=overrides, **settings)


def assert_same_weights(one: gpucnn.Run, other: gpucnn.Run) -> None:
    """Fail unless two runs have the same weights and statistics to the last bit."""
    weights, others = (dict(run.checkpoint.weights) for run in (one, other))
    assert weights.keys() == others.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name, strict=True)


@pytest.mark.parametrize("precision", ["float32", "float64", "tf32", "bf16", "fp16"])
def test_steps_agree_with_the_cpu(precision):
    experiment = load(find_config("digits"), [f"precision={precision}"])
    found = parity(Side(experiment, Device.named("cuda"), "fast"), Side(experiment, Device("cpu"), "reference"), 5)
    assert found.problems() == []


def test_digits_are_learned_as_well_as_on_the_cpu(tmp_path):
    accuracy = {}
    for device in ("cuda", "cpu"):
        accuracy[device] = train(tmp_path / device, device, "training.epochs=6").results["accuracy"]
    assert accuracy["cpu"] > 0.95
    assert accuracy["cuda"] > accuracy["cpu"] - 0.01  # 3 of the 355 images that are tested with


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_digits_are_learned_as_well_in_fewer_bits(tmp_path, precision):
    run = train(tmp_path / precision, "cuda", "training.epochs=6", f"precision={precision}")
    assert run.results["accuracy"] > 0.95


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16", "fp16"])
def test_two_runs_give_the_same_bits(tmp_path, precision):
    assert_same_weights(*(train(tmp_path / name, "cuda", *SMALL, f"precision={precision}") for name in "ab"))


def test_images_on_the_gpu_are_those_of_the_host_to_the_bit(tmp_path):
    augment = "data.augment=[{random_crop: {padding: 1, mode: reflect}}, horizontal_flip, {cutout: {size: 3}}]"
    runs = [train(tmp_path / on, "cuda", *SMALL, augment, f"data.on_device={on}") for on in ("true", "false")]
    assert_same_weights(*runs)


def test_a_run_that_is_resumed_gives_the_same_bits(tmp_path):
    whole = train(tmp_path / "whole", "cuda", *SMALL, "schedule=constant")
    train(tmp_path / "parts", "cuda", *SMALL, "schedule=constant", "training.epochs=1")
    assert_same_weights(whole, train(tmp_path / "parts", "cuda", *SMALL, "schedule=constant", resume=True))


@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_checkpoints_cross_devices(first, then, tmp_path):
    """What one device trained, the other evaluates alike, and goes on with; in float64, so that it shows."""
    settings = [*SMALL, "schedule=constant", "precision=float64"]
    run = train(tmp_path / "run", first, *settings, "training.epochs=1")
    moved = gpucnn.load(tmp_path / "run", device=then)
    assert str(moved.device).startswith(then)
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8)
    np.testing.assert_allclose(moved.predict(images), run.predict(images), rtol=0, atol=1e-9)
    assert moved.evaluate().accuracy == run.results["accuracy"]
    crossed = train(tmp_path / "run", then, *settings, resume=True)
    stayed = train(tmp_path / "stayed", first, *settings)
    for name, array in stayed.checkpoint.weights.items():
        np.testing.assert_allclose(crossed.checkpoint.weights[name], array, rtol=0, atol=1e-6, err_msg=name)
