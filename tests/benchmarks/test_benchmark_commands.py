"""The commands, at work on as little as there is."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from benchmarks.app import app
from benchmarks.commands import everything, start
from benchmarks.machine import THREAD_VARIABLES
from benchmarks.processes import PYTHON, Failed, run

TINY = ["model=[flatten, {dense: 10}]", "training.epochs=1", "data.augment=[]"]


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_digits(tmp_path):
    file = tmp_path / "digits.json"
    lines = invoke("digits", *TINY, "--seeds", "1", "--output", str(file)).splitlines()
    found = json.loads(file.read_text())
    assert [line.split()[0] for line in lines] == ["seed", "0", "mean", "min"]
    assert found["runs"] == 1
    (seed,) = found["seeds"]
    assert seed["accuracy"] == found["accuracy_mean"] == found["accuracy_min"] > 0.5
    assert seed["seconds"] > seed["training_seconds"] > 0
    assert seed["peak_bytes"] > 2**24
    assert [row["epoch"] for row in seed["epochs"]] == [1]


def test_accuracy(tmp_path):
    file = tmp_path / "accuracy.json"
    out = invoke("accuracy", "digits", *TINY, "--output", str(file))
    found = json.loads(file.read_text())
    assert found["overrides"] == TINY
    assert found["first_loss"] > found["last_loss"]
    assert len(found["losses"]) == 4
    assert "test accuracy: " in out.splitlines()[2]


def test_start(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "COMMANDS", {"python -c pass": ["-c", "pass"]})
    file = tmp_path / "start.json"
    out = invoke("start", "--runs", "2", "--output", str(file))
    found = json.loads(file.read_text())
    assert len(found["processes"]["python -c pass"]["cpu_seconds"]) == 2
    assert out.splitlines()[1].startswith("python -c pass")


@pytest.mark.torch
def test_speed(torch, tmp_path, monkeypatch):
    for name in THREAD_VARIABLES:  # which the command sets
        monkeypatch.setenv(name, "1")
    config = tmp_path / "tiny.yaml"
    config.write_text("name: tiny\ndata: {dataset: digits, batch_size: 2}\nmodel: [flatten, {dense: 10}]\n")
    file = tmp_path / "speed.json"
    options = ["--rounds", "2", "--seconds", "0", "--threads", "1", "--output", str(file)]
    lines = invoke("speed", str(config), "impl=reference", *options).splitlines()
    found = json.loads(file.read_text())
    assert list(found["networks"]) == ["tiny"]
    assert list(found["networks"]["tiny"]) == ["training step", "evaluation"]
    assert len(found["networks"]["tiny"]["training step"]["ratios"]) == 2
    assert found["overrides"] == ["impl=reference"]
    assert found["not_measured"] == ["torch.compile (--compile)"]
    assert [line.split()[:2] for line in lines] == [["network", "batch"], ["tiny", "2"], ["tiny", "2"]]


def test_speed_says_what_it_lacks(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Failed, match="PyTorch is not installed"):
        invoke("speed")


def test_all_goes_on_after_a_failure_and_tells_of_it(monkeypatch):
    commands = []

    def fake(command, check):
        commands.append(command[3:])
        return SimpleNamespace(returncode=int("mnist" in command))

    monkeypatch.setattr(everything.subprocess, "run", fake)
    with pytest.raises(Failed, match="not measured: accuracy mnist"):
        invoke("all")
    assert commands == everything.COMMANDS


def test_a_process_that_fails_is_no_measurement():
    with pytest.raises(Failed, match="`python -c raise SystemExit\\(3\\)` ended with exit code 3"):
        run([PYTHON, "-c", "raise SystemExit(3)"])


def test_a_failure_is_one_message():
    root = Path(everything.__file__).parents[2]
    command = [sys.executable, "-m", "benchmarks", "accuracy", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: `python -m gpucnn train nothing")
