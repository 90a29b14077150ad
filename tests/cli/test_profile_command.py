"""`gpucnn profile`: its text, its JSON, its errors. What is in them is tested in tests/profiling."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from checks.tasks import task as task_of_tests

from gpucnn.cli import main
from gpucnn.cli.profile import as_text
from gpucnn.config import load
from gpucnn.cuda.plans import Plan
from gpucnn.dispatch import Decision
from gpucnn.profiling import peaks
from gpucnn.profiling.peaks import Peaks
from gpucnn.profiling.profile import Profile, Row
from gpucnn.profiling.seams import Part
from gpucnn.profiling.work import Work
from gpucnn.resources import find_config
from gpucnn.tuning.choices import RunnerUp

DIGITS = ["digits", "--device", "cpu", "--steps", "2"]
PEAKS = Peaks(flops=100e9, bytes=10e9)


@pytest.fixture(autouse=True)
def small_peaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peaks, "CPU_SIZE", 16)
    monkeypatch.setattr(peaks, "COPY_BYTES", 2**14)
    monkeypatch.chdir(tmp_path)


def test_the_table_names_every_layer_and_what_remains(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["profile", *DIGITS]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert re.match(r"digits on cpu, \d+ threads?, float32: medians of 2 steps of 32 images", lines[0])
    first = next(i for i, line in enumerate(lines) if line.startswith("layer"))
    table = lines[first + 1 : lines.index("", first)]
    named = [line.split()[0] for line in table if not line.startswith(" ")]
    layers = [f"model[{i}].{spec.name}" for i, spec in enumerate(load(find_config("digits")).model)]
    assert named == ["data", *layers, "loss", "optimizer", "rest", "jitter", "step"]
    assert table[-1].split()[-4:] == ["%", "-", "-", "-"]
    assert all(line.endswith("  -") for line in table[:-3]), "no runner-up on the CPU: nobody knows how fast it were"
    assert "100.0 %" in table[-1]
    assert next(line.split()[:2] for line in table if line.startswith(" ")) == ["backward", "weight"]
    assert "most expensive:" in lines
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_json_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", *DIGITS, "--json", "data.batch_size=16", "precision=float64"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["batch_size"], found["dtype"], found["steps"], found["device"]) == (16, "float64", 2, "cpu")
    conv = next(part for part in found["parts"] if part["path"] == "3.conv2d" and part["pass"] == "backward data")
    assert conv["flops"] == 16 * 2 * 8 * 8 * 32 * 32 * 9
    assert conv["bytes"] == 8 * (2 * 16 * 8 * 8 * 32 + 32 * 32 * 9)
    assert conv["flops_per_second"] == pytest.approx(conv["flops"] / conv["seconds"])
    assert conv["operations"][0]["reason"] == "float32 only, not float64"
    for i, whole in enumerate(found["step"]["times"]):
        parts = sum(part["times"][i] for part in found["parts"])
        assert parts + found["rest"]["times"][i] == pytest.approx(whole)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["digits", "--steps", "0"], 2, "Invalid value for '--steps'"),
        (["digits", "--device", "gpu"], 2, "device (='gpu') must be auto, cpu, cuda or cuda:N"),
        (["digits", "--device", "cpu", "data.batch_size=x"], 2, "data.batch_size: must be a whole number"),
        (["no-such-config"], 2, "no-such-config"),
        (["mnist", "--device", "cpu"], 1, "gpucnn data fetch mnist"),
    ],
)
def test_mistakes_are_told_in_a_line(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GPUCNN_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["profile", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def shown(step: float, *rows: Row, **changes: Any) -> list[str]:
    given: dict[str, Any] = {
        "name": "a", "device": "cpu", "threads": 1, "dtype": "float32", "batch": 1, "peaks": PEAKS, "rows": list(rows),
        "step": (step,) * 3, "plain": (step,) * 3, "losses": (),
    }  # fmt: skip
    return as_text(Profile(**(given | changes))).splitlines()


def test_figures_stand_in_their_columns() -> None:
    conv = Row(Part("0.residual.layers.0.conv2d", "forward"), (0.001, 0.002, 0.003), Work(50_000_000, 8_000_000))
    again = Row(Part("0.residual.layers.0.conv2d", "backward data"), (0.001,) * 3, Work(250_000_000, 8_000_000))
    outer = Row(Part("0.residual", "forward"), (0.0001,) * 3, Work(0, 0))
    lines = shown(0.01, outer, conv, again)
    assert lines[1] == "peaks, measured: 100 GFLOP/s (a large product), 10.0 GB/s (a large copy)"
    assert lines[3:10] == [
        "layer               pass               ms  spread    share  GFLOP/s  GB/s  roofline  computed by  runner-up",
        "model[0].residual   forward         0.100     0 %    1.0 %        -     -         -  -            -",
        "  layers[0].conv2d  forward         2.000    25 %   20.0 %     25.0   4.0    40.0 %  -            -",
        "                    backward data   1.000     0 %   10.0 %    250.0   8.0   250.0 %  -            -",
        "rest                                6.900     7 %   69.0 %        -     -         -",
        "jitter                              0.000       -    0.0 %        -     -         -",
        "step                               10.000     0 %  100.0 %        -     -         -",
    ]
    assert any(line.startswith("Above 100 %: operands that stay in a cache") for line in lines)
    assert not any(line.startswith(("Much jitter", "runner-up:")) for line in lines)


def test_a_layer_without_a_time_of_its_own_is_listed() -> None:
    norm = Row(Part("0.batch_norm", "forward"), (0.001,) * 3, Work(1000, 1000))
    lines = shown(0.002, norm, Row(Part("1.relu", "with another"), (0.0,) * 3, Work()))
    assert lines[5].split() == ["model[1].relu", "with", "another", "0.000", "-", "0.0", "%", *"-----"]
    assert lines[3].rstrip().endswith("computed by  runner-up")


def test_short_steps_are_told_in_microseconds_and_much_jitter_is_told() -> None:
    times = (0.0001, 0.0001, 0.0004), (0.0001, 0.0004, 0.0001), (0.0004, 0.0001, 0.0001)
    rows = [Row(Part(f"{i}.relu", "forward"), each, Work(1, 1)) for i, each in enumerate(times)]
    lines = shown(0.0007, *rows)
    assert "us" in lines[3].split()
    assert next(line for line in lines if line.startswith("jitter")).split()[1:4] == ["300.000", "-", "42.9"]
    assert any(line.startswith("Much jitter: ") for line in lines)


def test_on_a_gpu_the_time_that_launching_takes_is_told() -> None:
    row = Row(Part("0.relu", "forward"), (0.001,) * 3, Work(1000, 5_000_000, [], ["relu"]), host=0.003)
    lines = shown(0.004, row, device="cuda:0", threads=None)
    assert lines[0] == "a on cuda:0, float32: medians of 3 steps of 1 image"
    assert lines[3].split()[2:7] == ["ms", "spread", "host", "ms", "share"]
    assert lines[4].split() == [
        "model[0].relu",
        "forward",
        "1.000",
        "0",
        "%",
        "3.000",
        "25.0",
        "%",
        "0.0",
        "5.0",
        "50.0",
        "%",
        "-:",
        "relu",
        "-",
    ]
    (told,) = [line for line in lines if line.startswith("The parts keep")]
    assert told.startswith("The parts keep the GPU busy for 1.000 ms of the step's 4.000 ms (25.0 %); Python takes 3.0")


def test_plans_are_told_with_what_is_best_beside_them() -> None:
    """Each once, though a pass may have several; by estimate where nothing was measured."""
    task = task_of_tests("forward", (1, 5, 5, 8), (16, 3, 3, 8))
    chosen = [(task, Plan.of("tiled", m=64, n=64)), (task, Plan.of("plain", pieces=2))]
    work = Work(1000, 1000, [Decision("dense", "gpucnn.cuda")], ["conv2d_forward_64", "add_parts"], chosen)
    measured, estimated = RunnerUp("plain", 1.25, True), RunnerUp("tiled 64x64", 3.0, False)
    row = Row(Part("0.dense", "backward"), (0.001,) * 3, work, 0.001, (measured, estimated))
    assert row.computed_by == "gpucnn.cuda: tiled 64x64, plain pieces=2 (conv2d_forward_64, add_parts)"
    assert row.runner_up == "plain, 1.25x; tiled 64x64, 3.00x by estimate"
    assert Row(row.part, row.times, work, 0.001, (None, measured)).runner_up == "plain, 1.25x"
    lines = shown(0.004, row, device="cuda:0", threads=None)
    assert lines[4].endswith(f"{row.computed_by}  {row.runner_up}")
    assert any(line.startswith("runner-up: the next best plan") for line in lines)


def test_a_terminal_shows_what_is_being_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert main(["profile", *DIGITS]) == 0
    out, err = capsys.readouterr()
    assert "timing step 2 of 2" in err
    assert "timing" not in out
