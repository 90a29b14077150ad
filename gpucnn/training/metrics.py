"""The metrics of a run: metrics.jsonl, one JSON object a line, and results.csv, its epochs as a table.

A line of kind `step` is written every tenth step (its loss, accuracy and learning rate), one of kind `epoch` at the
end of each epoch (see `EpochRow`). Each is handed to the system at once, so that a killed process loses none.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpucnn.errors import RunError
from gpucnn.files import write_atomically
from gpucnn.problems import short
from gpucnn.training.checkpoint import Progress
from gpucnn.training.evaluate import Evaluation, finite
from gpucnn.training.observer import EpochRow, StepMetrics
from gpucnn.training.scaling import LossScale

STEPS_A_LINE = 10
_COLUMNS = list(EpochRow.__annotations__)


class Metrics:
    """Writes the two files in `folder`; `close` it at the end.

    epoch, step: those of the checkpoint that the run goes on from. What was recorded after them is cut off, because
    it will be recorded again.
    """

    def __init__(self, folder: Path, *, epoch: int, step: int) -> None:
        self._path, self._table = folder / "metrics.jsonl", folder / "results.csv"
        last = {"epoch": epoch, "step": step}
        kept = [row for row in read_lines(self._path) if row[row["kind"]] <= last[row["kind"]]]
        self.epochs = [row for row in kept if row["kind"] == "epoch"]
        write_atomically(self._path, "".join(map(_line, kept)).encode())
        self._write_table()
        self._file = self._path.open("a", encoding="utf-8")

    def add(self, kind: str, values: Mapping[str, Any]) -> None:
        """Write one line; raises RunError where the disk is full."""
        row = {"kind": kind, **values}
        try:
            self._file.write(_line(row))
            self._file.flush()
        except OSError as reason:
            raise RunError(
                f"cannot write {self._path}: {reason.strerror}: make room, then go on with --resume"
            ) from None
        if kind == "epoch":
            self.epochs.append(row)
            self._write_table()

    def sync(self) -> None:
        """Make the lines outlive a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # of a line that did not fit on the disk, which was reported when it was added
            self._file.close()

    def _write_table(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.epochs)
        write_atomically(self._table, text.getvalue().encode())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects in a metrics.jsonl; none where there is no such file.

    A last line without its end, which a killed process leaves, is passed over; any other line that is not a metric
    raises RunError.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    except (FileNotFoundError, NotADirectoryError):  # the latter: a checkpoint file without a run folder
        return []
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if row["kind"] not in ("epoch", "step"):
                raise ValueError
            rows.append({**row, "epoch": int(row["epoch"]), "step": int(row["step"])})
        except (ValueError, TypeError, KeyError):
            rule = "a JSON object with kind (epoch or step), epoch and step"
            raise RunError(f"{path}:{number}: expected {rule}, found {short(line)}: delete the line") from None
    return rows


def step_metrics(p: Progress, batches: int, lr: float) -> StepMetrics:
    """Return what observers are told after a step of an epoch of `batches` steps."""
    return {
        "step": p.step,
        "epoch": p.epoch + 1,
        "batch": p.batch,
        "batches": batches,
        "loss": p.loss_sum / p.images,
        "accuracy": p.correct / p.images,
        "lr": lr,
        "images_per_second": p.images / p.seconds,
    }


def epoch_row(p: Progress, lr: float, validation: Evaluation | None, scaling: LossScale | None) -> EpochRow:
    """Return the row of the epoch whose last step is done."""
    return {
        "epoch": p.epoch + 1,
        "step": p.step,
        "train_loss": p.loss_sum / p.images,
        "train_accuracy": p.correct / p.images,
        "validation_loss": finite(validation.loss) if validation else None,
        "validation_accuracy": validation.accuracy if validation else None,
        "lr": lr,
        "loss_scale": float(scaling.scale[0]) if scaling else None,
        "skipped_steps": scaling.skipped if scaling else None,
        "images_per_second": p.images / p.seconds,
        "seconds": p.seconds,
        "data_seconds": p.data_seconds,
    }


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
