"""Progress: what a terminal of any width shows, what a pipe gets, and nothing where quiet was asked for."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from gpucnn.cli import progress as room
from gpucnn.cli.progress import Moving, progress
from gpucnn.training.lines import Lines, TimeLeft, blas_threads, duration
from gpucnn.training.observer import Observer

INFO = {
    "path": "runs/digits-1",
    "name": "digits",
    "device": "cpu",
    "by": "3 threads, numba 0.68.0",
    "precision": "",
    "layers": 9,
    "parameters": 21_322,
    "train_images": 1_347,
    "validation_images": 90,
    "epochs": 3,
    "batches": 20,
    "epoch": 0,
    "step": 0,
}
STEP = {
    "step": 5,
    "epoch": 1,
    "batch": 5,
    "batches": 20,
    "loss": 1.25,
    "accuracy": 0.625,
    "lr": 0.05,
    "images_per_second": 9123.4,
}
ROW = {
    "epoch": 1,
    "step": 20,
    "train_loss": 0.71234,
    "train_accuracy": 0.8125,
    "validation_loss": 0.5,
    "validation_accuracy": 1.0,
    "lr": 1.234e-05,
    "images_per_second": 9123.4,
    "seconds": 1.0,
    "data_seconds": 0.1,
}


def play(observer: Observer, **info) -> None:
    observer.message("a checkpoint is set aside")
    observer.started(INFO | info)
    observer.epoch_started(1, 20)
    observer.step(STEP)
    without = {"validation_loss": None, "validation_accuracy": None}
    observer.epoch_finished(ROW | (without if info.get("validation_images") == 0 else {}))
    observer.finished({})


def test_a_pipe_gets_plain_lines_on_stderr_alone(capsys):
    with progress(quiet=False) as observer:
        assert type(observer) is Lines
        play(observer)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "a checkpoint is set aside",
        "digits: 1,347 training images, 90 validation images",
        "network: 9 layers, 21,322 parameters",
        "device: cpu, 3 threads, numba 0.68.0",
        "run folder: runs/digits-1",
        "  epoch  train loss  train acc  val loss   val acc        lr  images/s     left",
        "    1/3      0.7123    81.25 %    0.5000  100.00 %  1.23e-05     9,123     0:00",
        "finished in 0:00",
    ]


def test_without_validation_images_there_are_no_columns_for_them(capsys):
    play(Lines(), validation_images=0)
    err = capsys.readouterr().err
    assert "val" not in err
    assert "digits: 1,347 training images\n" in err


def test_a_long_epoch_shows_signs_of_life(capsys):
    play(Lines(every=0.0))
    line = "epoch 1/3, step 5/20: loss 1.2500, accuracy 62.50 %, left 0:00, images/s 9,123, lr 0.05\n"
    assert line in capsys.readouterr().err


def test_quiet_is_quiet(capsys):
    with progress(quiet=True) as observer:
        play(observer)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(width: int, monkeypatch: pytest.MonkeyPatch, **options) -> tuple[list[str], str]:
    """Return the lines that a terminal shows in the middle of an epoch, without colours, and all that was written."""
    terminal = Terminal()
    console = Console(file=terminal, force_terminal=True, width=width, highlight=False, _environ={}, **options)
    with Moving(console) as moving:
        play(moving)
        terminal.truncate(0)
        terminal.seek(0)
        console.print(moving)
        text = terminal.getvalue()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines(), text


@pytest.mark.parametrize(
    ("width", "parts"),
    [
        (100, ["loss 1.2500", "accuracy 62.50 %", "0:00 left", "9,123 images/s", "lr 0.05"]),
        (60, ["loss 1.2500", "accuracy 62.50 %"]),
        (40, ["loss 1.2500"]),
    ],
)
def test_the_moving_line_fits_the_terminal(width, parts, monkeypatch):
    lines, _ = shown(width, monkeypatch)
    moving = next(line for line in lines if line.startswith("epoch 1/3"))
    assert len(moving) <= width
    assert re.split("  +", moving.rstrip())[-len(parts) :] == parts
    assert "━" in moving


@pytest.mark.parametrize(("width", "last"), [(80, "left"), (60, "left"), (40, "val acc")])
def test_the_table_fits_the_terminal(width, last):
    terminal = Terminal()
    with Moving(Console(file=terminal, force_terminal=True, width=width, _environ={})) as moving:
        play(moving)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", terminal.getvalue())
    head = next(line for line in plain.splitlines() if "epoch  train loss" in line)
    row = next(line for line in plain.splitlines() if "1/3      0.7123" in line)
    assert len(head) <= width
    assert len(head) == len(row)
    assert head.endswith(last)


def test_no_color_means_no_colour(monkeypatch):
    _, coloured = shown(80, monkeypatch)
    _, plain = shown(80, monkeypatch, no_color=True)
    color = r"\x1b\[[0-9;]*[39][0-9]m"
    assert re.search(color, coloured)
    assert not re.search(color, plain)


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(room.sys, "stderr", Terminal())
    with progress(quiet=False) as observer:
        assert type(observer) is Lines


def test_a_terminal_gets_a_moving_line(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(room.sys, "stderr", Terminal())
    with progress(quiet=False) as observer:
        assert type(observer) is Moving


def test_time_left_goes_by_what_was_done_since_the_start(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    left = TimeLeft()
    left.start(INFO | {"step": 20})  # 40 of 60 steps remain
    assert left.text() == "-"
    now[0] += 15.0
    left.step(30)
    assert left.text() == duration(45.0)
    left.step(60)
    assert left.text() == "0:00"


@pytest.mark.parametrize(("name", "value", "threads"), [("OPENBLAS_NUM_THREADS", "2", 2), ("OMP_NUM_THREADS", "5", 5)])
def test_the_environment_decides_the_threads(monkeypatch, name, value, threads):
    for other in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(other, raising=False)
    assert blas_threads() >= 1
    monkeypatch.setenv(name, value)
    assert blas_threads() == threads
