"""A small experiment in which everything that could make a resumed run differ is in play."""

from __future__ import annotations

import copy
import sys
from typing import Any

import pytest

SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "device": "cpu",
    "data": {
        "dataset": {"synthetic": {"size": 8, "classes": 6, "train": 120, "test": 40}},
        "batch_size": 16,
        "validation": 24,
        "augment": [{"random_crop": {"padding": 1}}, "horizontal_flip", {"cutout": {"size": 3}}],
    },
    "model": [
        {"conv2d": {"out_channels": 4, "kernel_size": 3, "padding": "same"}},
        "batch_norm",
        "relu",
        {"max_pool2d": 2},
        "flatten",
        {"dropout": 0.2},
        {"dense": 6},
    ],
    "optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}},
    "schedule": {"one_cycle": {"warmup": 0.2}},
    "training": {"epochs": 4, "early_stopping": {"patience": 3}},
}
"""6 steps an epoch: 96 images in batches of 16."""


@pytest.fixture(scope="session")
def small_config() -> dict[str, Any]:
    """The experiment, not to be changed."""
    return SMALL


@pytest.fixture
def small(small_config: dict[str, Any]) -> dict[str, Any]:
    """The experiment, to change as a test needs it."""
    return copy.deepcopy(small_config)


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matplotlib is not installed: nothing is drawn, which saves most of a small run's time."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
