"""Steps as CUDA graphs on a GPU: that they are recorded, and give the bits of steps that are launched one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpucnn
from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.errors import NonFiniteError
from gpucnn.resources import find_config
from gpucnn.training import queued
from gpucnn.training.checkpoint import Checkpoint
from gpucnn.training.graph import CapturedStep
from gpucnn.training.observer import Observer

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]

EVERYTHING = [
    "model=[{conv2d: {out_channels: 8, padding: same, bias: false}}, batch_norm, relu, {max_pool2d: 2}, "
    "{residual: {layers: [{conv2d: {out_channels: 8, padding: same}}, gelu]}}, "
    "{concat: {branches: [[tanh], [{avg_pool2d: {kernel_size: 3, stride: 1, padding: 1}}], "
    "[{conv2d: {out_channels: 8, groups: 8, padding: same}}]]}}, "
    "{scale: {}}, {dropout: 0.2}, flatten, {dense: 10}]",
    "loss={cross_entropy: {label_smoothing: 0.1, class_weights: [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]}}",
    "optimizer={adamw: {lr: 0.003}}",
    "schedule={cosine: {warmup: 5}}",
    "data.augment=[{random_crop: 1}, horizontal_flip, {cutout: 2}]",
    "training={epochs: 3, checkpoint_every: {steps: 7}}",
]
"""Every kind of layer that a graph has to hold, and all that changes from step to step."""


class Told(Observer):
    """What a run tells; it breaks off after the step `last`."""

    def __init__(self, last: int = -1) -> None:
        self.last = last
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def step(self, metrics: Any) -> None:
        if metrics["step"] == self.last:
            raise ConnectionError


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matplotlib is not installed: nothing is drawn."""
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)


def weights(folder: Path, graph: str, *overrides: str, told: Told | None = None) -> dict[str, np.ndarray]:
    """Train digits; return its weights and the optimizer's state. A graph that is not recorded fails."""
    told = told or Told()
    resume = folder.exists()
    changes = [f"graph={graph}", *overrides]
    run = gpucnn.train("digits", run_dir=folder, overrides=changes, device="cuda", resume=resume, observer=told)
    assert not any("CUDA graph" in message for message in told.messages), told.messages
    return {**run.checkpoint.weights, **run.checkpoint.optimizer}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Fail unless all arrays are equal to the last bit."""
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name, strict=True)


@pytest.mark.parametrize("on_device", ["true", "false"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_graphs_give_the_bits_of_steps_one_by_one(tmp_path, precision, on_device):
    settings = [*EVERYTHING, f"precision={precision}", f"data.on_device={on_device}"]
    assert_same(weights(tmp_path / "auto", "auto", *settings), weights(tmp_path / "off", "off", *settings))


def test_a_batch_in_parts(tmp_path):
    """The last part is smaller, and shares of the loss depend on the labels."""
    settings = [*EVERYTHING, "data.batch_size=64", "training.micro_batch=24"]
    assert_same(weights(tmp_path / "auto", "auto", *settings), weights(tmp_path / "off", "off", *settings))


@pytest.mark.parametrize("short", [0.0, np.inf])
def test_one_step_or_many_in_a_graph(tmp_path, monkeypatch, short):
    monkeypatch.setattr(queued, "SHORT", short)
    monkeypatch.setattr(queued, "PAGE_SECONDS", 10.0)
    settings = [*EVERYTHING, "data.batch_size=16", "training={epochs: 3}"]
    assert_same(weights(tmp_path / "auto", "auto", *settings), weights(tmp_path / "off", "off", *settings))


def test_a_run_that_breaks_off_goes_on_with_the_same_bits(tmp_path):
    whole = weights(tmp_path / "whole", "auto", *EVERYTHING)
    with pytest.raises(ConnectionError):
        weights(tmp_path / "parts", "auto", *EVERYTHING, told=Told(last=12))
    assert_same(weights(tmp_path / "parts", "auto", *EVERYTHING), whole)


def test_a_step_that_is_not_finite_is_told_as_without_graphs(tmp_path):
    found = {}
    for graph in ("auto", "off"):
        folder = tmp_path / graph
        with pytest.raises(NonFiniteError) as raised:
            weights(folder, graph, "optimizer={sgd: {lr: 1e6}}", "data.batch_size=32")
        last = Checkpoint.read(max(folder.glob("checkpoints/step-*")))
        found[graph] = str(raised.value).replace(graph, ""), dict(last.weights) | dict(last.optimizer)
    assert found["auto"][0] == found["off"][0]
    assert_same(found["auto"][1], found["off"][1])


@pytest.mark.parametrize("name", ["digits", "mnist", "lenet5", "cifar10"])
def test_steps_of_shipped_networks_are_recorded(name):
    """And their losses fall: replays compute."""
    experiment, device = load(find_config(name)), Device.named("cuda")
    shape = experiment.data.dataset.build().info().shape
    rng = np.random.default_rng(0)
    x = device.asarray(rng.random((64, *shape)), np.float32)
    labels = device.asarray(rng.integers(0, 10, 64), np.int64)
    step = CapturedStep(experiment, x, labels, device)
    for _ in range(40):
        step()
    losses = step.losses()[:42]
    assert np.isfinite(losses).all()
    assert losses[-5:].mean() < losses[:5].mean()
