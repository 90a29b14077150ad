"""Runs that are stopped by real signals in real processes, and resumed, end in the bits of one that never stopped.

In play: dropout, crop, flip, cutout, batch norm, a schedule with warm-up, optimizer state, validation, early stopping.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gpucnn
from gpucnn.errors import RunError
from gpucnn.training.checkpoint import Checkpoint
from gpucnn.training.observer import Observer
from gpucnn.training.run_folder import by_step
from gpucnn.training.signals import Interrupted

PROGRAM = """
import json, sys
sys.modules["matplotlib"] = None  # nothing is drawn
import gpucnn
from gpucnn.errors import GpucnnError
from gpucnn.training.observer import Observer

class Pause(Observer):
    def step(self, metrics):
        if metrics["step"] == pause:
            print("paused", flush=True)
            sys.stdin.readline()  # goes on after a signal's handler has run
    def message(self, text):
        print(text, flush=True)

config, folder, resume, pause = json.loads(sys.argv[1])
try:
    gpucnn.train(config, run_dir=folder, resume=resume, observer=Pause())
except GpucnnError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""
pytestmark = pytest.mark.usefixtures("no_plots")

TIMINGS = ("images_per_second", "seconds", "data_seconds")

MOMENTUM = {"optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}}}
ADAM = {
    "optimizer": {"adamw": {"lr": 0.01}},
    "schedule": {"cosine": {"warmup": 3}},
    "training": {
        "epochs": 4,
        "checkpoint_every": {"steps": 4},
        "early_stopping": {"patience": 3, "monitor": "accuracy"},
    },
}

STOPS = [
    (2, signal.SIGKILL, ""),
    (3, signal.SIGINT, "has no checkpoint yet: training begins at the beginning"),
    (12, signal.SIGTERM, "going on after step 3 "),  # the last step of an epoch
    (15, signal.SIGKILL, "going on after step 12 "),
    (20, signal.SIGKILL, ""),
]
"""After which step a process is stopped, by what, and what it says before."""


class Recorder(Observer):
    """Remembers the messages; sends SIGINT to this process after a step."""

    def __init__(self, interrupt_at: int = -1) -> None:
        self.messages: list[str] = []
        self.interrupt_at = interrupt_at

    def step(self, metrics: Any) -> None:
        if metrics["step"] == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)

    def message(self, text: str) -> None:
        self.messages.append(text)


def process(
    config: dict[str, Any],
    folder: Path,
    *,
    resume: bool,
    at: int = -1,
    signals: tuple[int, ...] = (),
    threads: int = 1,
) -> tuple[int, str]:
    """Train in a process, send it signals while it stands still after step `at`; return its exit code and output."""
    command = [sys.executable, "-c", PROGRAM, json.dumps([config, str(folder), resume, at])]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout
        assert child.stdin
        said = ""
        while signals and not said.endswith("paused\n"):
            line = child.stdout.readline()
            assert line, f"ended before step {at}: {said}"
            said += line
        for number in signals:
            child.send_signal(number)
        try:
            rest, _ = child.communicate("\n" if signals else None, timeout=60)
        except BrokenPipeError:
            rest = ""
        return child.wait(), said + rest


def bits(path: Path) -> dict[str, tuple[str, bytes]]:
    """Return every array of the last checkpoint: weights, running statistics, optimizer state."""
    checkpoint = Checkpoint.read(by_step(path)[0])
    arrays = {**checkpoint.weights, **{f"optimizer {k}": a for k, a in checkpoint.optimizer.items()}}
    return {key: (str(array.dtype), array.tobytes()) for key, array in arrays.items()}


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl without their timings."""
    rows = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    return [{key: value for key, value in row.items() if key not in TIMINGS} for row in rows]


@pytest.mark.parametrize(
    ("changes", "stops"),
    [(MOMENTUM, STOPS), (ADAM, [(3, signal.SIGINT, ""), (15, signal.SIGKILL, "going on after step 3 ")])],
    ids=["momentum", "adamw"],
)
def test_stopped_and_resumed_equals_never_stopped(
    small: dict[str, Any], tmp_path: Path, changes: dict[str, Any], stops: list[tuple[int, signal.Signals, str]]
) -> None:
    config, whole, parts = {**small, **changes}, tmp_path / "whole", tmp_path / "parts"
    gpucnn.train(config, run_dir=whole, observer=Observer())
    for at, number, words in stops:
        code, said = process(config, parts, resume=parts.exists(), at=at, signals=(number,))
        assert words in said
        if number == signal.SIGKILL:
            assert code == -number
        else:
            assert code == 128 + number
            assert f"stopped by {number.name} after step {at}" in said
    newest = by_step(parts)[0]
    newest.write_bytes(newest.read_bytes()[:-5])
    code, said = process(config, parts, resume=True)
    assert code == 0
    assert f"a checkpoint is set aside: {newest}: cut short" in said

    assert bits(parts) == bits(whole)
    assert lines(parts) == lines(whole)
    evaluations = [json.loads((path / "evaluation.json").read_text()) for path in (parts, whole)]
    assert evaluations[0] == evaluations[1]
    assert len(json.loads((parts / "environment.json").read_text())) == len(stops) + 1


def test_a_second_signal_ends_the_process_at_once(small: dict[str, Any], tmp_path: Path) -> None:
    code, _ = process(small, tmp_path / "x", resume=False, at=8, signals=(signal.SIGINT, signal.SIGTERM))
    assert code == 143
    assert [p.name for p in by_step(tmp_path / "x")] == ["step-00000006.safetensors"]


def test_two_processes_same_seed_same_bits(small: dict[str, Any], tmp_path: Path) -> None:
    small["training"] = {"epochs": 1}
    assert process(small, tmp_path / "1", resume=False)[0] == 0
    gpucnn.train(small, run_dir=tmp_path / "2", observer=Observer())
    assert bits(tmp_path / "1") == bits(tmp_path / "2")


def test_two_processes_of_several_threads_same_bits(small: dict[str, Any], tmp_path: Path) -> None:
    """The products are large enough (over 64^3) for BLAS to share them out among its threads."""
    small["data"] |= {"dataset": {"synthetic": {"size": 16, "classes": 6, "train": 88, "test": 8}}, "batch_size": 64}
    small["model"] = [{"conv2d": {"out_channels": 16}}, "relu", "flatten", {"dense": 64}, "relu", {"dense": 6}]
    small["training"] = {"epochs": 2}
    for name in "12":
        assert process(small, tmp_path / name, resume=False, threads=2)[0] == 0
    assert bits(tmp_path / "1") == bits(tmp_path / "2")


def test_a_finished_run_is_only_evaluated_again(small: dict[str, Any], tmp_path: Path, no_plots: None) -> None:
    small["training"] = {"epochs": 1}
    run = gpucnn.train(small, run_dir=tmp_path)
    before = bits(tmp_path)
    (tmp_path / "evaluation.json").unlink()
    again = gpucnn.train(small, run_dir=tmp_path, resume=True)
    assert bits(tmp_path) == before
    assert again.results["loss"] == run.evaluate().loss


def test_more_epochs_with_other_workers_go_on(small: dict[str, Any], tmp_path: Path, no_plots: None) -> None:
    """With a constant schedule, 1 + 1 epochs are 2 epochs."""
    small |= {"schedule": "constant", "training": {"epochs": 1}}
    gpucnn.train(small, run_dir=tmp_path / "x")
    more = gpucnn.train(
        small, run_dir=tmp_path / "x", resume=True, overrides=["training.epochs=2", "data.workers=2", "name=other"]
    )
    gpucnn.train(small, run_dir=tmp_path / "y", overrides=["training.epochs=2"])
    assert bits(tmp_path / "x") == bits(tmp_path / "y")
    assert more.config.training.epochs == 2
    assert "epochs: 2" in (tmp_path / "x" / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("optimizer.sgd.lr=0.2", "  optimizer.sgd.lr: 0.1 in the run, 0.2 now"),
        ("seed=4", "  seed: 3 in the run, 4 now"),
        ("model[1]=relu", "  model[1]: 'not there' in the run, 'relu' now"),
    ],
)
def test_other_settings_are_refused(small: dict[str, Any], tmp_path: Path, override: str, line: str) -> None:
    small["training"] = {"epochs": 1}
    gpucnn.train(small, run_dir=tmp_path)
    before = bits(tmp_path)
    with pytest.raises(RunError, match="was begun with other settings") as caught:
        gpucnn.train(small, run_dir=tmp_path, resume=True, overrides=[override, "training.epochs=2"])
    assert line in str(caught.value).splitlines()
    assert "epochs" not in str(caught.value)
    assert bits(tmp_path) == before


def test_early_stopping_counts_over_a_stop(small: dict[str, Any], tmp_path: Path) -> None:
    """Epoch 1 is the best and the second epoch is not better: stopped in the third, a resumed run ends with it."""
    small |= {"training": {"epochs": 9, "early_stopping": {"patience": 2, "min_delta": 9.0}}}
    with pytest.raises(Interrupted):
        gpucnn.train(small, run_dir=tmp_path, observer=Recorder(interrupt_at=15))
    assert gpucnn.train(small, run_dir=tmp_path, resume=True).progress.epoch == 3


def test_other_versions_are_told(small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small["training"] = {"epochs": 1}
    gpucnn.train(small, run_dir=tmp_path)
    same, other = Recorder(), Recorder()
    gpucnn.train(small, run_dir=tmp_path, resume=True, observer=same)
    monkeypatch.setattr("gpucnn.training.session.versions", lambda: {"numpy": "99"})
    gpucnn.train(small, run_dir=tmp_path, resume=True, observer=other)
    assert [any("not be equal to the last bit" in text for text in o.messages) for o in (same, other)] == [False, True]


@pytest.mark.parametrize("damage", ["another epoch's", "cut short"])
def test_a_best_checkpoint_that_is_not_the_best_is_not_evaluated(
    small: dict[str, Any], tmp_path: Path, damage: str
) -> None:
    small["training"] = {"epochs": 1}
    run = gpucnn.train(small, run_dir=tmp_path)
    assert "best" in run.results
    best = tmp_path / "checkpoints" / "best.safetensors"
    if damage == "cut short":
        best.write_bytes(best.read_bytes()[:99])
    else:
        replace(run.checkpoint, progress=replace(run.progress, epoch=7)).write(best)
    recorder = Recorder()
    assert "best" not in gpucnn.train(small, run_dir=tmp_path, resume=True, observer=recorder).results
    assert any(text.startswith("the best epoch is not evaluated") for text in recorder.messages)
