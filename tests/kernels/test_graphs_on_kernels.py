"""Training steps as CUDA graphs, on CuPy's stand-in: the bits of steps that are launched operation by operation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in, streams

import gpucnn
from gpucnn.errors import NonFiniteError
from gpucnn.layers.activation import Tanh
from gpucnn.training import queued
from gpucnn.training.checkpoint import Checkpoint
from gpucnn.training.observer import Observer
from gpucnn.training.signals import Interrupted, Interrupts

CONFIG: dict[str, Any] = {
    "name": "graphs",
    "data": {
        "dataset": {"synthetic": {"size": 4, "channels": 2, "classes": 3, "train": 22, "test": 2}},
        "batch_size": 3,
        "augment": ["horizontal_flip", {"random_crop": {"padding": 1}}],
        "validation": 2,
    },
    "model": [
        {"conv2d": {"out_channels": 3, "padding": "same", "bias": False}},
        "batch_norm",
        "relu",
        {"concat": {"branches": [["tanh"], []]}},
        {"dropout": 0.3},
        "flatten",
        {"dense": 3},
    ],
    "loss": {"cross_entropy": {"class_weights": [1, 2, 3]}},
    "optimizer": {"adamw": {"lr": 0.01, "weight_decay": 0.1}},
    "schedule": {"cosine": {"warmup": 3}},
    "training": {"epochs": 2},
}
"""Two epochs of six whole batches and one of two images."""


class Told(Observer):
    """What a run tells; a signal comes after the step `last`."""

    def __init__(self, last: int = -1, interrupts: list[Interrupts] | None = None) -> None:
        self.last, self.interrupts = last, interrupts or []
        self.messages: list[str] = []
        self.steps: list[dict[str, Any]] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def step(self, metrics: Any) -> None:
        self.steps.append({key: value for key, value in metrics.items() if "second" not in key})


@pytest.fixture
def launches(modules: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[int]]:
    """CuPy's stand-in, with the kernels' CPU build behind it; how many operations each graph that was launched had."""
    cupy_stand_in.install(monkeypatch, lambda kernel, dtype: modules[dtype].get_function(kernel.name))
    monkeypatch.chdir(tmp_path)
    launched: list[int] = []
    launch = streams.Graph.launch
    monkeypatch.setattr(streams.Graph, "launch", lambda self, *a: launched.append(len(self.works)) or launch(self, *a))
    return launched


def outcome(path: str, told: Told) -> dict[str, Any]:
    """Return all that a run leaves behind, but times."""
    checkpoint = max(Path(path).glob("checkpoints/step-*"))
    read = Checkpoint.read(checkpoint)
    rows = [json.loads(line) for line in (Path(path) / "metrics.jsonl").read_text().splitlines()]
    progress = {key: value for key, value in vars(read.progress).items() if "second" not in key}
    return {
        "weights": dict(read.weights),
        "optimizer": dict(read.optimizer),
        "progress": progress,
        "rows": [{key: value for key, value in row.items() if "second" not in key} for row in rows],
        "steps": told.steps,
    }


def trained(path: str, graph: str = "auto", resume: bool = False, **changes: Any) -> dict[str, Any]:
    """Train to the end; return what is left of it."""
    told = Told()
    settings = {"run_dir": path, "device": "cuda", "resume": resume, "observer": told}
    gpucnn.train(CONFIG | {"graph": graph} | changes, **settings)
    assert told.messages == (["going on"] if resume else []) or resume
    return outcome(path, told)


@pytest.mark.parametrize("on_device", [True, False])
def test_a_run_by_graphs_has_the_bits_of_one_without(launches, on_device):
    data = CONFIG["data"] | {"on_device": on_device}
    expected = trained("off", "off", data=data)
    assert not launches
    np.testing.assert_equal(trained("auto", data=data), expected)
    assert len(launches) == 2 * 6 - 2  # of 14 steps two warmed up, and two are of a smaller batch
