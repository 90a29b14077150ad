"""metrics.jsonl and results.csv: a line at a time, torn ends passed over, cut off where a run goes on."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from gpucnn.errors import RunError
from gpucnn.training.metrics import Metrics, read_lines


def row(epoch: int, step: int) -> dict[str, Any]:
    return {"epoch": epoch, "step": step, "train_loss": 0.5, "validation_loss": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two epochs of 6 steps, and a step of the third."""
    metrics = Metrics(tmp_path, epoch=0, step=0)
    for epoch in (1, 2):
        metrics.add("step", {"epoch": epoch, "step": 6 * epoch - 1, "loss": 1.0, "lr": 0.1})
        metrics.add("epoch", row(epoch, 6 * epoch))
    metrics.add("step", {"epoch": 3, "step": 14, "loss": 1.0, "lr": 0.1})
    metrics.close()
    return tmp_path


def test_every_line_is_there_at_once(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, epoch=0, step=0)
    metrics.add("epoch", row(1, 6))
    assert read_lines(tmp_path / "metrics.jsonl") == [{"kind": "epoch", **row(1, 6)}]
    metrics.close()


@pytest.mark.parametrize(
    ("epoch", "step", "kept"),
    [
        (0, 0, []),
        (0, 6, [5]),  # the checkpoint was written before the epoch was validated
        (1, 6, [5, 6]),
        (1, 11, [5, 6, 11]),
        (2, 13, [5, 6, 11, 12]),
        (2, 14, [5, 6, 11, 12, 14]),
    ],
)
def test_what_comes_after_the_checkpoint_is_cut_off(folder: Path, epoch: int, step: int, kept: list[int]) -> None:
    metrics = Metrics(folder, epoch=epoch, step=step)
    metrics.close()
    assert [line["step"] for line in read_lines(folder / "metrics.jsonl")] == kept
    with (folder / "results.csv").open() as file:
        assert [r["epoch"] for r in csv.DictReader(file)] == [str(e) for e in range(1, epoch + 1)]
    assert [r["epoch"] for r in metrics.epochs] == list(range(1, epoch + 1))


def test_the_table_has_a_row_an_epoch(folder: Path) -> None:
    header, first, second = (folder / "results.csv").read_text().splitlines()
    assert header.startswith("epoch,step,train_loss,train_accuracy,validation_loss")
    assert (first, second) == ("1,6,0.5,,,,,,,,,", "2,12,0.5,,,,,,,,,")


def test_a_torn_last_line_is_passed_over(folder: Path) -> None:
    path = folder / "metrics.jsonl"
    whole = read_lines(path)
    path.write_bytes(path.read_bytes()[:-9])
    assert read_lines(path) == whole[:-1]
    path.write_bytes(path.read_bytes() + b"\xff")
    assert read_lines(path) == whole[:-1]


@pytest.mark.parametrize("line", ["{", "[1]", '{"kind": "epoch"}', '{"kind": ["epoch"], "epoch": 1, "step": 1}', ""])
def test_another_line_that_is_no_metric_is_named(folder: Path, line: str) -> None:
    path = folder / "metrics.jsonl"
    first, rest = path.read_text().split("\n", 1)
    path.write_text(f"{first}\n{line}\n{rest}")
    with pytest.raises(RunError, match=r"metrics.jsonl:2: expected a JSON object with kind .* delete the line"):
        read_lines(path)


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "metrics.jsonl") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_message(folder: Path) -> None:
    metrics = Metrics(folder, epoch=2, step=14)
    os.dup2(os.open("/dev/full", os.O_WRONLY), metrics._file.fileno())
    with pytest.raises(RunError, match=rf"cannot write .*metrics.jsonl: {os.strerror(errno.ENOSPC)}: make room"):
        metrics.add("epoch", row(3, 18))
    metrics.close()
