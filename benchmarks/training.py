"""A training run of `gpucnn train` in a process of its own, and what it left in its run folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import PYTHON, Cost, run


@dataclass(frozen=True)
class Training:
    """cost: of the process. epochs: the rows of the run's table. losses: every tenth step's. accuracy: on `split`."""

    cost: Cost
    epochs: list[dict[str, Any]]
    losses: list[float]
    accuracy: float
    split: str

    @property
    def training_seconds(self) -> float:
        """Time of the training steps alone: without start, reading the data, evaluation and plots."""
        return float(sum(row["seconds"] for row in self.epochs))

    @property
    def images_per_second(self) -> float:
        """Images that were trained on in a second of `training_seconds`."""
        images = sum(row["images_per_second"] * row["seconds"] for row in self.epochs)
        return float(images / self.training_seconds)

    def dump(self) -> dict[str, Any]:
        """Return all numbers as plain data."""
        derived = {"training_seconds": self.training_seconds, "images_per_second": self.images_per_second}
        return {**asdict(self.cost), **derived, "accuracy": self.accuracy, "split": self.split, "epochs": self.epochs}


def train(config: str, overrides: Sequence[str] = ()) -> Training:
    """Train a config on the CPU; raises Failed where `gpucnn train` does, which says why on stderr."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        options = ["--device", "cpu", "--run-dir", str(folder)]
        cost = run([PYTHON, "-m", "gpucnn", "train", config, *overrides, *options])
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        evaluation = json.loads((folder / "evaluation.json").read_text())
    epochs = [{key: value for key, value in row.items() if key != "kind"} for row in lines if row["kind"] == "epoch"]
    losses = [row["loss"] for row in lines if row["kind"] == "step"]
    return Training(cost, epochs, losses, evaluation["accuracy"], evaluation["split"])
