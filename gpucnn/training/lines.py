"""Progress as plain lines on stderr: a header, a table row an epoch, and a sign of life in long epochs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from gpucnn.problems import plural
from gpucnn.training.observer import EpochRow, Observer, RunInfo, StepMetrics

_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
_COLUMNS = {
    "epoch": 7,
    "train loss": 10,
    "train acc": 9,
    "val loss": 8,
    "val acc": 8,
    "lr": 8,
    "images/s": 8,
    "left": 7,
}
_LEAST = ("lr", "images/s", "train acc", "left", "val loss")
"""What a narrow terminal can do without, the first to go first."""


class Lines(Observer):
    """Prints on stderr what goes on; the default of `gpucnn.train`, and of the command where stderr is no terminal.

    every: seconds without a line after which the epoch under way is reported.
    """

    def __init__(self, every: float = 30.0) -> None:
        self.every, self.left = every, TimeLeft()
        self._columns: dict[str, int] = {}
        self._epochs, self._told, self._began = 0, 0.0, 0.0

    def started(self, info: RunInfo) -> None:
        """Say what is trained on what, and name the columns."""
        self._began = self._told = time.monotonic()
        self._epochs = info["epochs"]
        self.left.start(info)
        for line in header(info):
            self.write(line)
        dropped = set() if info["validation_images"] else {"val loss", "val acc"}
        self._columns = fitting({name: size for name, size in _COLUMNS.items() if name not in dropped}, self.width())
        self.write("  ".join(name.rjust(size) for name, size in self._columns.items()))

    def step(self, metrics: StepMetrics) -> None:
        """Say where a long epoch stands, now and then."""
        self.left.step(metrics["step"])
        if time.monotonic() - self._told >= self.every:
            step = f"epoch {metrics['epoch']}/{self._epochs}, step {metrics['batch']}/{metrics['batches']}: "
            self.write(step + ", ".join(f"{name} {text}" for name, text in figures(metrics, self.left.text()).items()))

    def epoch_finished(self, row: EpochRow) -> None:
        """Write the epoch's row of the table."""
        cells = {
            "epoch": f"{row['epoch']}/{self._epochs}",
            "train loss": number(row["train_loss"], "{:.4f}"),
            "train acc": percent(row["train_accuracy"]),
            "val loss": number(row["validation_loss"], "{:.4f}"),
            "val acc": percent(row["validation_accuracy"]),
            "lr": number(row["lr"], "{:.3g}"),
            "images/s": number(row["images_per_second"], "{:,.0f}"),
            "left": self.left.text(),
        }
        self.write("  ".join(cells[name].rjust(size) for name, size in self._columns.items()))

    def message(self, text: str) -> None:
        """Write the message."""
        self.write(text)

    def finished(self, summary: dict[str, Any]) -> None:
        """Write the time that all took; the command prints the final figures on stdout."""
        self.write(f"finished in {duration(time.monotonic() - self._began)}")

    def width(self) -> int | None:
        """Return how many characters fit on a line; None for any number."""
        return None

    def write(self, line: str) -> None:
        """Write one line that stays."""
        self._told = time.monotonic()
        print(line, file=sys.stderr, flush=True)


class TimeLeft:
    """How long the rest of a run takes, if it goes on as it went so far."""

    def __init__(self) -> None:
        self._began = self._elapsed = 0.0
        self._first = self._step = self._total = 0

    def start(self, info: RunInfo) -> None:
        """Begin to measure."""
        self._began, self._elapsed = time.monotonic(), 0.0
        self._first = self._step = info["step"]
        self._total = info["epochs"] * info["batches"]

    def step(self, step: int) -> None:
        """Note that `step` steps are done."""
        self._step, self._elapsed = step, time.monotonic() - self._began

    def text(self) -> str:
        """Return the time as text, `-` before the first step."""
        done = self._step - self._first
        return duration(self._elapsed / done * max(0, self._total - self._step)) if done else "-"


def header(info: RunInfo) -> list[str]:
    """Return the lines that say what is trained on what, and where it is written."""
    images = f"{info['train_images']:,} training images"
    if info["validation_images"]:
        images += f", {info['validation_images']:,} validation images"
    return [
        f"{info['name']}: {images}",
        f"network: {plural(info['layers'], 'layer')}, {info['parameters']:,} parameters",
        f"device: {info['device']}" + (f", {info['by']}" if info["by"] else ""),
        *([f"precision: {info['precision']}"] if info["precision"] else []),
        f"run folder: {info['path']}",
    ]


def figures(metrics: StepMetrics, left: str) -> dict[str, str]:
    """Return what a line says about a step, by name, the most important first."""
    return {
        "loss": number(metrics["loss"], "{:.4f}"),
        "accuracy": percent(metrics["accuracy"]),
        "left": left,
        "images/s": number(metrics["images_per_second"], "{:,.0f}"),
        "lr": number(metrics["lr"], "{:.3g}"),
    }


def fitting(columns: Mapping[str, int], width: int | None) -> dict[str, int]:
    """Return those of the columns (name to width) that fit side by side, two blanks between.

    >>> list(fitting({"epoch": 7, "train loss": 10, "lr": 9}, 20))
    ['epoch', 'train loss']
    """
    kept = dict(columns)
    for name in _LEAST:
        if width is None or sum(kept.values()) + 2 * (len(kept) - 1) <= width:
            break
        kept.pop(name, None)
    return kept


def number(value: float | None, form: str) -> str:
    """Return a number in a format, `-` where there is none."""
    return "-" if value is None else form.format(value)


def percent(value: float | None) -> str:
    """Return a fraction of 1 as text.

    >>> percent(0.98765), percent(None)
    ('98.77 %', '-')
    """
    return number(None if value is None else 100 * value, "{:.2f} %")


def duration(seconds: float) -> str:
    """Return a time in words that fit a column.

    >>> duration(7.4), duration(754), duration(11_520)
    ('0:07', '12:34', '3:12:00')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def blas_threads() -> int:
    """Return how many threads NumPy's matrix products may use: as the environment says, else one a usable CPU."""
    for name in _THREADS:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
