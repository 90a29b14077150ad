"""An experiment with every kind of layer that a step is cut at, and peaks that are measured in no time."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.profiling import peaks
from gpucnn.training.trainer import Trainer

NESTED: dict[str, Any] = {
    "name": "nested",
    "seed": 2,
    "device": "cpu",
    "impl": "reference",
    "data": {"dataset": {"synthetic": {"size": 8, "classes": 6, "train": 120, "test": 40}}, "batch_size": 16},
    "model": [
        {"conv2d": {"out_channels": 4, "kernel_size": 3, "padding": "same"}},
        "batch_norm",
        "relu",
        {"max_pool2d": 2},
        {"sequential": {"layers": [{"residual": {"layers": ["tanh"]}}]}},
        {"concat": {"branches": [[], ["relu"], [{"conv2d": {"out_channels": 2, "kernel_size": 1}}]]}},
        "flatten",
        {"dropout": 0.2},
        {"dense": 6},
    ],
    "optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9}},
}
"""7 batches of 16 an epoch, and one of 8."""


@pytest.fixture
def nested() -> dict[str, Any]:
    """The experiment, to change as a test needs it."""
    return copy.deepcopy(NESTED)


@pytest.fixture
def trainer(nested: dict[str, Any]) -> Trainer:
    """Its trainer, before the first step."""
    return Trainer(load(nested), Device("cpu"))


@pytest.fixture
def small_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure with small arrays: what they tell is of no use, and there at once."""
    for name, value in {"CPU_SIZE": 16, "GPU_SIZE": 16, "COPY_BYTES": 2**14}.items():
        monkeypatch.setattr(peaks, name, value)
