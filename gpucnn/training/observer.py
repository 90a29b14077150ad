"""What a training run tells while it goes on: derive from `Observer`, override what you want to hear.

The command line's progress display is one; a notebook may bring its own:

    class Print(Observer):
        def epoch_finished(self, row):
            print(row["epoch"], row["train_loss"])

    gpucnn.train("digits.yaml", observer=Print())
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict


class RunInfo(TypedDict):
    """What is known when training starts. Epochs and steps count what was planned; `step` is where it starts.

    by: what computes on the CPU, in words; empty on a GPU. precision: in words; empty for float32 and float64.
    """

    path: Path
    name: str
    device: str
    by: str
    precision: str
    layers: int
    parameters: int
    train_images: int
    validation_images: int
    epochs: int
    batches: int
    epoch: int
    step: int


class StepMetrics(TypedDict):
    """One step. epoch and batch count from 1; loss and accuracy are means of the epoch so far; seconds of it too."""

    step: int
    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    lr: float
    images_per_second: float


class EpochRow(TypedDict):
    """One epoch, counted from 1: a line of metrics.jsonl and of results.csv.

    step: updates made by its end. train_loss, train_accuracy: means over the batches as they were trained on,
    augmented, with the weights of that moment. validation_*: None without a validation split. lr: that of the last
    step. loss_scale, skipped_steps: of fp16, at its end and in the run so far; else None. seconds: time of the training
    steps; data_seconds: the part of it that was spent waiting for batches.
    """

    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    lr: float
    loss_scale: float | None
    skipped_steps: int | None
    images_per_second: float
    seconds: float
    data_seconds: float


class Observer:
    """Hears of a run's progress; every method does nothing until it is overridden."""

    def started(self, info: RunInfo) -> None:
        """Training is about to begin, or to go on."""

    def epoch_started(self, epoch: int, batches: int) -> None:
        """Epoch `epoch` (from 1) of `batches` steps begins, or goes on where a resumed run stopped."""

    def step(self, metrics: StepMetrics) -> None:
        """A step was made. Where steps are CUDA graphs, many are told at a time, a little late."""

    def epoch_finished(self, row: EpochRow) -> None:
        """An epoch was trained and validated."""

    def message(self, text: str) -> None:
        """Something the user should know: one line without markup."""

    def finished(self, summary: dict[str, Any]) -> None:
        """Training and the final evaluation are done: what evaluation.json holds, and the run's `path`."""
