"""Training from Python: what a run leaves behind, what is refused, and that equal runs give equal bits."""

from __future__ import annotations

import csv
import errno
import itertools
import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpucnn
from gpucnn.config import load as load_config
from gpucnn.data.loader import Loader
from gpucnn.data.synthetic import Synthetic
from gpucnn.errors import ArgumentError, CheckpointError, ConfigError, DataError, NonFiniteError, RunError
from gpucnn.losses.cross_entropy import CrossEntropy
from gpucnn.optimizers.sgd import SGD
from gpucnn.training.checkpoint import Checkpoint
from gpucnn.training.observer import Observer
from gpucnn.training.run_folder import by_step
from gpucnn.training.signals import Interrupted

pytestmark = pytest.mark.usefixtures("no_plots")


class Recorder(Observer):
    """Remembers the names of what it heard, and the rest by name."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.steps: list[Any] = []
        self.rows: list[Any] = []
        self.messages: list[str] = []
        self.info: Any = None
        self.summary: dict[str, Any] = {}

    def started(self, info: Any) -> None:
        self.events.append("started")
        self.info = info

    def epoch_started(self, epoch: int, batches: int) -> None:
        self.events.append(f"epoch {epoch} of {batches} batches")

    def step(self, metrics: Any) -> None:
        self.steps.append(metrics)

    def epoch_finished(self, row: Any) -> None:
        self.events.append(f"epoch {row['epoch']} finished")
        self.rows.append(row)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def finished(self, summary: dict[str, Any]) -> None:
        self.events.append("finished")
        self.summary = summary


def weights(run: gpucnn.Run) -> dict[str, bytes]:
    return {key: array.tobytes() for key, array in run.checkpoint.weights.items()}


def test_what_a_run_leaves_behind(small: dict[str, Any], tmp_path: Path) -> None:
    recorder = Recorder()
    run = gpucnn.train(small, run_dir=tmp_path / "x", overrides=["training.epochs=2"], observer=recorder)

    assert recorder.events == ["started"] + [
        f"epoch {n} {what}" for n in (1, 2) for what in ("of 6 batches", "finished")
    ] + ["finished"]
    assert [(m["step"], m["epoch"], m["batch"]) for m in recorder.steps] == [
        (i + 1, i // 6 + 1, i % 6 + 1) for i in range(12)
    ]
    info = recorder.info
    assert (info["train_images"], info["validation_images"], info["parameters"]) == (96, 24, 438)
    assert (info["layers"], info["epochs"], info["batches"], info["epoch"], info["step"]) == (7, 2, 6, 0, 0)
    assert recorder.messages == [
        'curves.png and confusion.png are not drawn without Matplotlib: pip install "gpucnn[plots]"'
    ]

    assert run.path == tmp_path / "x"
    assert {p.name for p in run.path.iterdir()} == {
        *("checkpoints", "config.yaml", "environment.json", "evaluation.json", "lock", "metrics.jsonl", "results.csv")
    }
    assert {p.name for p in by_step(run.path)} == {"step-00000006.safetensors", "step-00000012.safetensors"}
    assert load_config(run.path / "config.yaml").dump() == run.config.dump()
    assert run.config.training.epochs == 2

    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["step"]) for line in lines] == [("epoch", 6), ("step", 10), ("epoch", 12)]
    rows = [{k: v for k, v in line.items() if k != "kind"} for line in lines if line["kind"] == "epoch"]
    assert rows == recorder.rows == [{k: v for k, v in row.items() if k != "kind"} for row in run.metrics()]
    assert rows[-1]["train_loss"] == recorder.steps[-1]["loss"]
    assert rows[-1]["validation_loss"] == run.evaluate("validation").loss
    assert rows[0]["seconds"] > rows[0]["data_seconds"] > 0
    with (run.path / "results.csv").open() as file:
        assert [float(row["train_loss"]) for row in csv.DictReader(file)] == [row["train_loss"] for row in rows]

    results = json.loads((run.path / "evaluation.json").read_text())
    assert results == run.results == {k: v for k, v in recorder.summary.items() if k != "path"}
    assert (results["split"], results["weights"], results["epoch"], results["images"]) == ("test", "last", 2, 40)
    assert results["loss"] == run.evaluate("test").loss
    best = gpucnn.load(run.path / "checkpoints" / "best.safetensors")
    assert results["best"]["epoch"] == best.progress.epoch == best.progress.best_epoch
    assert results["best"]["loss"] == best.evaluate().loss
    assert best.progress.best == min(row["validation_loss"] for row in rows)
    (entry,) = json.loads((run.path / "environment.json").read_text())
    assert {"device", "numpy", "python", "gpucnn", "platform", "cpu_count", "blas", "commit"} <= set(entry)


def test_it_learns(small: dict[str, Any], tmp_path: Path) -> None:
    small["data"] |= {"dataset": {"synthetic": {"classes": 6, "train": 480, "test": 60}}, "augment": []}
    run = gpucnn.train(small, run_dir=tmp_path, overrides=["optimizer.sgd.lr=0.02", "model[5].dropout.rate=0"])
    rows = run.metrics()
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]
    assert run.results["accuracy"] > 0.9


def test_the_loop_is_what_it_says(small: dict[str, Any], tmp_path: Path) -> None:
    """Every learning rate is the optimizer's times the schedule's factor, and the step counts from 0."""
    seen = []

    def update(self: SGD, params: Any, *, lr: float, step: int) -> None:
        seen.append((step, lr))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SGD, "update", update)
        run = gpucnn.train(small, run_dir=tmp_path, overrides=["training.epochs=2"])
    schedule = run.config.schedule.build()
    assert seen == [(step, 0.1 * schedule.factor(step, 12)) for step in range(12)]


@pytest.mark.parametrize(
    "override", ["data.workers=0", "data.workers=3", "training.checkpoint_every={steps: 4}", "training.keep_every=1"]
)
def test_what_must_not_change_the_weights(small: dict[str, Any], tmp_path: Path, override: str) -> None:
    assert load_config(small).data.workers == 1
    first = gpucnn.train(small, run_dir=tmp_path / "1", overrides=["training.epochs=2"])
    second = gpucnn.train(small, run_dir=tmp_path / "2", overrides=["training.epochs=2", override])
    assert weights(first) == weights(second)


def test_another_seed_gives_other_weights(small: dict[str, Any], tmp_path: Path) -> None:
    runs = [gpucnn.train(small, run_dir=tmp_path / s, overrides=["training.epochs=1", f"seed={s}"]) for s in "12"]
    assert weights(runs[0]) != weights(runs[1])


def test_checkpoints_by_steps(small: dict[str, Any], tmp_path: Path) -> None:
    overrides = ["training.epochs=1", "training.checkpoint_every={steps: 4}"]
    run = gpucnn.train(small, run_dir=tmp_path, overrides=overrides)
    assert [p.name for p in by_step(run.path)] == ["step-00000006.safetensors", "step-00000004.safetensors"]
    assert Checkpoint.read(by_step(run.path)[1]).progress.batch == 4


def test_every_nth_checkpoint_stays(small: dict[str, Any], tmp_path: Path) -> None:
    """Whatever `checkpoint_every` says; the last one is kept as well, under its step."""
    overrides = [
        "training.epochs=5",
        "training.keep_every=2",
        "training.checkpoint_every=3",
        "training.early_stopping=null",
    ]
    run = gpucnn.train(small, run_dir=tmp_path, overrides=overrides)
    kept = sorted(p.name for p in (tmp_path / "checkpoints").glob("epoch-*"))
    assert kept == ["epoch-0002.safetensors", "epoch-0004.safetensors"]
    assert [p.name for p in by_step(tmp_path)] == ["step-00000030.safetensors", "step-00000018.safetensors"]
    second = gpucnn.load(tmp_path / "checkpoints" / kept[0])
    assert (second.progress.epoch, second.progress.batch, second.path) == (2, 0, tmp_path)
    assert second.evaluate("validation").loss == run.metrics()[1]["validation_loss"]


def test_early_stopping_stops(small: dict[str, Any], tmp_path: Path) -> None:
    overrides = ["optimizer.sgd.lr=1e-12", "training.epochs=9", "training.early_stopping={patience: 2, min_delta: 9.0}"]
    run = gpucnn.train(small, run_dir=tmp_path, overrides=overrides)
    assert (run.progress.epoch, run.progress.best_epoch, run.progress.stale) == (3, 1, 2)
    assert run.results["best"]["epoch"] == 1


def test_without_validation(small: dict[str, Any], tmp_path: Path) -> None:
    overrides = ["training.epochs=1", "data.validation=0", "training.early_stopping=null"]
    run = gpucnn.train(small, run_dir=tmp_path, overrides=overrides)
    assert run.metrics()[0]["validation_loss"] is None
    assert "best" not in run.results
    assert not (run.path / "checkpoints" / "best.safetensors").exists()
    with pytest.raises(ArgumentError, match=r"split \(='validation'\): the data set of this run has no such images"):
        run.evaluate("validation")


@pytest.mark.parametrize(("validation", "split"), [(24, "validation"), (0, None)])
def test_without_test_images(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validation: int, split: str | None
) -> None:
    """The final evaluation takes the validation images, or is left out, with a message."""
    monkeypatch.setattr(Synthetic, "info", lambda self: replace(self._info, test=0))
    small["data"]["validation"], small["training"] = validation, {"epochs": 1}
    recorder = Recorder()
    run = gpucnn.train(small, run_dir=tmp_path / "x", observer=recorder)
    assert run.results.get("split") == split
    assert any("no final evaluation" in text for text in recorder.messages) == (split is None)


@pytest.mark.parametrize("lr", [1e12, 1e38])
def test_divergence_stops_before_the_update(small: dict[str, Any], tmp_path: Path, lr: float) -> None:
    overrides = [
        f"optimizer.sgd.lr={lr:e}",
        "schedule=constant",
        "optimizer.sgd.momentum=0",
        "optimizer.sgd.nesterov=false",
    ]
    with pytest.raises(NonFiniteError) as caught:
        gpucnn.train(small, run_dir=tmp_path, overrides=overrides)
    message = str(caught.value)
    assert caught.value.exit_code == 1
    assert "infinite or not a number is in " in message
    assert "Lower the learning rate" in message
    for path in by_step(tmp_path):
        checkpoint = Checkpoint.read(path)
        assert all(np.isfinite(array).all() for array in checkpoint.weights.values())
        assert f"in step {checkpoint.progress.step + 1} " in message or path != by_step(tmp_path)[0]


class Signal(Observer):
    """Sends this process a signal after a step."""

    def __init__(self, step: int, number: signal.Signals = signal.SIGINT) -> None:
        self.at, self.number = step, number

    def step(self, metrics: Any) -> None:
        if metrics["step"] == self.at:
            signal.raise_signal(self.number)


@pytest.mark.parametrize("where", ["the images of the batch (1 of 1,024 elements)", "the gradient of 6.dense.b"])
def test_divergence_leaves_the_state_of_the_step_before(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A NaN in the 9th batch, or in its gradient: weights, running statistics and counters are those after step 8."""
    with pytest.raises(Interrupted):
        gpucnn.train(small, run_dir=tmp_path / "good", observer=Signal(8))
    batches, backward = Loader.batches, CrossEntropy.backward
    in_batch, steps = where.startswith("the images"), itertools.count(1)

    def spoilt_batches(self: Loader, epoch: int, start: int = 0) -> Iterator[Any]:
        for number, (x, labels) in enumerate(batches(self, epoch, start)):
            if self.shuffle and (epoch, number) == (1, 2) and in_batch:
                x[3, 2, 1, 0] = np.nan
            yield x, labels

    def spoilt_backward(self: CrossEntropy, saved: Any) -> Any:
        gradient = backward(self, saved)
        return gradient * np.nan if next(steps) == 9 else gradient

    monkeypatch.setattr(Loader, "batches", spoilt_batches)
    monkeypatch.setattr(CrossEntropy, "backward", spoilt_backward)
    with pytest.raises(NonFiniteError, match=re.escape(where)) as caught:
        gpucnn.train(small, run_dir=tmp_path / "bad")
    expected, found = (Checkpoint.read(by_step(tmp_path / name)[0]) for name in ("good", "bad"))
    assert "in step 9 (epoch 2, batch 3)" in str(caught.value)
    assert str(by_step(tmp_path / "bad")[0]) in str(caught.value)
    assert found.progress.step == 8
    for mine, theirs in ((expected.weights, found.weights), (expected.optimizer, found.optimizer)):
        assert {k: a.tobytes() for k, a in mine.items()} == {k: a.tobytes() for k, a in theirs.items()}
    timings = {"seconds": 0.0, "data_seconds": 0.0}
    assert replace(found.progress, **timings) == replace(expected.progress, **timings)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_with_a_checkpoint(
    small: dict[str, Any], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with pytest.raises(Interrupted, match=rf"{number.name} after step 4; checkpoint: .*step-00000004") as caught:
        gpucnn.train(small, run_dir=tmp_path, observer=Signal(4, number))
    assert (caught.value.exit_code, caught.value.signal) == (code, number)
    assert Checkpoint.read(by_step(tmp_path)[0]).progress.step == 4


def test_a_full_disk_stops_training_and_leaves_the_earlier_checkpoint(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Checkpoint, path: Path) -> None:
        if self.progress.step > 6:
            monkeypatch.setattr(os, "fsync", no_space)
        write(self, path)

    def no_space(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write = Checkpoint.write
    monkeypatch.setattr(Checkpoint, "write", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        gpucnn.train(small, run_dir=tmp_path)
    assert gpucnn.load(tmp_path).progress.step == 6
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_run_that_cannot_begin_leaves_no_folder(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        gpucnn.train(small, overrides=["optimizer.sgd.lr=high"])
    monkeypatch.setattr(Synthetic, "load", missing)
    with pytest.raises(DataError, match="gone"):
        gpucnn.train(small)
    with pytest.raises(DataError, match="gone"):
        gpucnn.train(small, run_dir="x")
    assert not list(tmp_path.iterdir())


def missing(self: Synthetic, split: str) -> Any:
    assert not list(Path().iterdir())  # so that even a process that is killed while it reads leaves nothing
    raise DataError("gone")


def test_the_data_are_found_again_from_another_folder(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path in a config is relative to the current folder, or to $GPUCNN_DATA; in a run it is absolute."""
    images, labels = np.zeros((40, 8, 8), np.uint8), np.arange(40) % 6
    small["data"] = {"dataset": {"npz": {"path": "data.npz"}}, "batch_size": 16}
    small["training"] = {"epochs": 1}
    for place in ("here", "data", "elsewhere"):
        (tmp_path / place).mkdir()
    monkeypatch.setenv("GPUCNN_DATA", str(tmp_path / "data"))
    for place in ("data", "here"):  # the current folder goes before $GPUCNN_DATA
        monkeypatch.chdir(tmp_path / "here")
        np.savez(tmp_path / place / "data.npz", images=images, labels=labels)
        run = gpucnn.train(small, run_dir=tmp_path / f"run-{place}")
        assert run.config.data.dataset.dump()["npz"]["path"] == str(tmp_path / place / "data.npz")
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert gpucnn.load(run.path).evaluate().loss == run.results["loss"]
        more = gpucnn.train(run.path / "config.yaml", run_dir=run.path, resume=True, overrides=["training.epochs=2"])
        assert more.progress.epoch == 2


def test_a_folder_with_a_run_in_it_is_refused(small: dict[str, Any], tmp_path: Path) -> None:
    gpucnn.train(small, run_dir=tmp_path, overrides=["training.epochs=1"])
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(RunError, match=r"exists and is not empty: add --resume"):
        gpucnn.train(small, run_dir=tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_resume_needs_a_folder(small: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="resume needs run_dir"):
        gpucnn.train(small, resume=True)


def test_a_single_override_needs_no_list(small: dict[str, Any], tmp_path: Path) -> None:
    assert gpucnn.train(small, run_dir=tmp_path, overrides="training.epochs=1").progress.epoch == 1


def test_a_thread_can_train(small: dict[str, Any], tmp_path: Path) -> None:
    """As a notebook's server or `asyncio.to_thread` does: without signal handlers, which only the main thread has."""
    with ThreadPoolExecutor(2) as executor:
        jobs = [executor.submit(gpucnn.train, small, run_dir=tmp_path / name, observer=Observer()) for name in "12"]
    assert weights(jobs[0].result()) == weights(jobs[1].result())
    assert repr(jobs[0].result()) == f"Run({str(tmp_path / '1')!r}, epoch 4, step 24)"


def test_device_is_an_override(small: dict[str, Any], tmp_path: Path) -> None:
    small["device"] = "cuda:99"
    assert str(gpucnn.train(small, run_dir=tmp_path, device="cpu", overrides=["training.epochs=1"]).device) == "cpu"
