"""`gpucnn train`, end to end on real digits: output, overrides, mistakes, signals and resuming."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gpucnn import resources
from gpucnn.cli import main
from gpucnn.cli.runs import scan

GPUCNN = [sys.executable, "-m", "gpucnn"]
CONFIG = """\
name: tiny
device: cpu
data: {dataset: digits, batch_size: 128, validation: 0.1}
model: [flatten, {dense: 16}, relu, {dense: 10}]
training: {epochs: 3}
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """Each test begins in an empty folder, and nothing is drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.fixture
def tiny_config(tmp_path) -> Path:
    """A config of a few steps on real digits."""
    path = tmp_path / "config" / "tiny.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


@pytest.fixture
def endless(tiny_config) -> Path:
    """A config that trains until it is stopped, with less than ten hours left on a slow machine, too: H:MM:SS."""
    tiny_config.write_text(CONFIG.replace("epochs: 3", "epochs: 10000"))
    return tiny_config


def result(out: str) -> dict:
    return yaml.safe_load(out)


def test_stdout_holds_the_run_and_its_figures_and_stderr_the_rest(tiny_config, capsys):
    assert main(["train", str(tiny_config)]) == 0
    out, err = capsys.readouterr()
    found = result(out)
    assert found["run"] == "runs/tiny-1"
    evaluation = json.loads(Path("runs/tiny-1/evaluation.json").read_text())
    assert found["epoch"] == 3
    assert (found["test_loss"], found["test_accuracy"]) == (evaluation["loss"], evaluation["accuracy"])
    assert found["best_test_accuracy"] == evaluation["best"]["accuracy"] > 0.8
    assert "tiny: 1,298 training images, 144 validation images\n" in err
    assert "network: 4 layers, 1,210 parameters\n" in err
    assert re.findall(r"^ +(\d)/3 ", err, re.MULTILINE) == ["1", "2", "3"]


def test_overrides_change_settings(tiny_config, capsys):
    assert main(["train", str(tiny_config), "training.epochs=1", "name=other", "--quiet", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert result(out)["run"] == "runs/other-1"
    assert yaml.safe_load(Path("runs/other-1/config.yaml").read_text())["training"]["epochs"] == 1


def test_a_shipped_experiment_goes_by_its_name_from_any_folder(tiny_config, monkeypatch, capsys):
    monkeypatch.setattr(resources, "shipped_configs", lambda: {"tiny": tiny_config})
    assert main(["train", "tiny", "training.epochs=1", "-q"]) == 0
    assert main(["train", "tny", "-q"]) == 2
    assert capsys.readouterr().err == "tny: no such file, and no shipped experiment; did you mean 'tiny'? known: tiny\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "error: CONFIG is missing"),
        ([""], 2, "'' is no config: give a YAML file"),
        (["--resume"], 2, "error: CONFIG is missing"),
        (["CONFIG", "training.epochs=many"], 2, "override 'training.epochs=many': training.epochs: must be a whole "),
        (["CONFIG", "training.epoch=3"], 2, "override 'training.epoch=3': training.epoch: unknown key; did you mean "),
        (["CONFIG", "--device", "gpu"], 2, "override 'device=gpu': device: must be auto, cpu, cuda or cuda:N"),
        (["CONFIG", "--resume"], 1, "error: --resume: there is no unfinished run of 'tiny'"),
        (["CONFIG", "--resume", "--run-dir", "none"], 1, "error: none: no run to resume"),
        (["--resume", "--run-dir", "none"], 1, "error: none: no run to resume"),
        (["CONFIG", "--run-dir", "."], 1, "error: . exists and is not empty"),
        (["CONFIG", "data.dataset=mnist"], 1, "error: mnist is not found. Looked in:"),
    ],
)
def test_mistakes_are_one_message(tiny_config, capsys, monkeypatch, arguments, code, message):
    monkeypatch.setattr("gpucnn.data.places.platformdirs.user_cache_dir", lambda app: f"cache/{app}")
    monkeypatch.delenv("GPUCNN_DATA", raising=False)
    Path("something").touch()
    before = sorted(Path().rglob("*"))
    assert main(["train", *(str(tiny_config) if a == "CONFIG" else a for a in arguments)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert "Traceback" not in err
    assert sorted(Path().rglob("*")) == before  # nothing is begun, not even a folder


def test_every_line_about_a_config_begins_with_its_place(tiny_config, capsys):
    tiny_config.write_text("nmae: tiny\ndata:\n  dataset: digit\nmodel: [dense: ten]\n")
    assert main(["train", str(tiny_config), "seed=-1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0].removeprefix(str(tiny_config)) for line in lines] == [
        ":1:1",
        ":3:3",
        ":4:9",
        "override 'seed=-1'",
    ]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_is_resumed_by_its_name(endless, number, code, capsys):
    with subprocess.Popen([*GPUCNN, "train", str(endless)], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, b"")
        assert any(line.split()[:1] == [b"2/10000"] for line in lines)  # each line is there as soon as it is written
        process.send_signal(number)
        rest = b"".join(lines).decode()
        assert process.wait(timeout=20) == code
        assert process.stdout is not None
        assert process.stdout.read() == b""
    assert f"stopped by {number.name}" in rest
    assert rest.endswith("to go on: gpucnn train --resume --run-dir runs/tiny-1\n")
    assert "Traceback" not in rest
    (stopped,) = scan(Path("runs"))
    assert stopped.state == "unfinished"
    assert stopped.epochs >= 2
    epochs = stopped.epochs + 2
    assert main(["train", str(endless), f"training.epochs={epochs}", "--resume"]) == 0
    out, err = capsys.readouterr()
    assert result(out)["run"] == stopped.path
    assert f" {epochs}/{epochs} " in err
    assert [(run.path, run.state, run.epochs) for run in scan(Path("runs"))] == [(stopped.path, "finished", epochs)]


def test_a_run_goes_on_without_its_config(tiny_config, capsys):
    assert main(["train", str(tiny_config), "training.epochs=1", "--run-dir", "r", "-q"]) == 0
    assert main(["train", "--run-dir", "r", "--resume", "training.epochs=2", "-q"]) == 0
    assert result(capsys.readouterr().out.split("\nrun: ")[1].join(["run: ", ""]))["epoch"] == 2


def test_a_terminal_sees_a_moving_line_and_ctrl_c_leaves_it_clean(endless):
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "LC_ALL": "C.UTF-8"}
    command = [*GPUCNN, "train", str(endless)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower, env=environment) as process:
        os.close(follower)
        seen = b""
        while b"epoch 2" not in seen:
            seen += os.read(leader, 4096)
        process.send_signal(signal.SIGINT)
        while chunk := _read(leader):
            seen += chunk
        assert process.wait(timeout=20) == 130
    os.close(leader)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "━" in text
    assert (
        max(len(line) for line in re.split(r"[\r\n]+", text.partition("run folder")[2].partition("stopped")[0])) <= 60
    )
    assert seen.count(b"\x1b[?25l") == seen.count(b"\x1b[?25h") == 1  # the cursor was hidden, and is back
    assert "stopped by SIGINT" in text


def _read(leader: int) -> bytes:
    """Return what a pseudo-terminal shows next, nothing at its end."""
    try:
        return os.read(leader, 4096)
    except OSError:  # Linux says so that the other side is closed
        return b""
