"""The benchmark of a GPU: its parts outlive each other, and share the time."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checks.benchmark_rows import conv_row
from typer.testing import CliRunner

from benchmarks.app import app
from benchmarks.commands import gpu as command
from benchmarks.gpu import parts
from gpucnn.config import load
from gpucnn.errors import DeviceError
from gpucnn.resources import find_config


def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match="CuPy is not installed"):
        CliRunner().invoke(app, ["gpu"], catch_exceptions=False)


def test_what_fails_is_recorded_and_the_others_go_on(on_a_gpu, monkeypatch, tmp_path):
    file, seen = tmp_path / "gpu.json", []

    def crashes(settings: Any) -> Any:
        raise RuntimeError("out of paper")

    def measures(settings: Any) -> Any:
        seen.append(json.loads(file.read_text())["parts"])  # what came before is on the disk
        return {"exit_code": 0, "seconds": 1.0, "passes": [conv_row()]}

    monkeypatch.setitem(parts.PARTS, "tests", crashes)
    monkeypatch.setitem(parts.PARTS, "conv", measures)
    result = CliRunner().invoke(app, ["gpu", "tests", "conv", "--output", str(file)], catch_exceptions=False)
    assert result.exit_code == 1
    assert seen == [{"tests": {"crashed": "RuntimeError: out of paper"}}]
    found = json.loads(file.read_text())
    assert (found["devices"][0]["name"], found["cuda"], list(found["parts"])) == (
        "NVIDIA Test 9",
        {"cupy": "14"},
        ["tests", "conv"],
    )
    assert found["machine"]["commit"]
    lines = result.stdout.splitlines()
    assert lines[1].split()[:6] == ["float32", "LeNet", "1", "forward", "exact", "2.0"]
    assert found["means"]["fast"]["all"] == 0.5
    assert "tests: FAILED: RuntimeError: out of paper" in lines
    monkeypatch.setitem(parts.PARTS, "tests", measures)
    assert CliRunner().invoke(app, ["gpu", "tests", "--output", str(file)]).exit_code == 0
    assert CliRunner().invoke(app, ["gpu", "nothing", "--output", str(file)]).exit_code == 1


def test_the_parts_are_those_that_the_command_names():
    assert tuple(parts.PARTS) == command.NAMES
    assert parts.SHARES.keys() == parts.PARTS.keys()


def test_the_time_is_divided_by_shares(on_a_gpu, monkeypatch, tmp_path):
    seen = []

    def takes_none(settings: Any) -> Any:
        seen.append(settings.until - time.monotonic())
        return {"exit_code": 0, "seconds": 0.0}

    for part in ("tests", "conv"):
        monkeypatch.setitem(parts.PARTS, part, takes_none)
    arguments = ["gpu", "tests", "conv", "--minutes", "10", "--output", str(tmp_path / "a.json")]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert seen == pytest.approx([240, 600], abs=20)


class TestRun:
    def test_output_and_exit_code_are_kept(self):
        done = parts._run([sys.executable, "-c", "print('a'); print('b'); raise SystemExit(3)"], 20)
        assert (done.code, done.lines) == (3, ["a", "b"])
        assert done.dump()["output"] == ["a", "b"]
        assert "output" not in parts._run([sys.executable, "-c", ""], 20).dump()

    def test_what_takes_too_long_is_stopped(self):
        done = parts._run([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], 0.5)
        assert done.code is None
        assert done.seconds < 30

    def test_pytests_last_lines_are_read(self):
        lines = ["FAILED tests/a.py::b - no", "ERROR tests/c.py", "1 failed, 20 passed, 2 errors in 3.2s"]
        assert parts._outcome(parts.Done(1, 3.0, lines)) == {
            "tests": {"failed": 1, "passed": 20, "errors": 2},
            "failed": lines[:2],
        }

    def test_without_compute_sanitizer_it_is_left_out(self, monkeypatch):
        monkeypatch.setattr(parts.shutil, "which", lambda *_, **__: None)
        assert "skipped" in parts.sanitizers(parts.Settings())

    def test_sanitizers_are_told_to_see_every_array(self, monkeypatch):
        ran = []

        def run(command: Any, limit: Any, variables: Any) -> Any:
            ran.append((command, variables))
            return parts.Done(0, 1.0, ["5 passed in 1s", "========= ERROR SUMMARY: 0 errors"])

        monkeypatch.setattr(parts.shutil, "which", lambda *_, **__: "/bin/compute-sanitizer")
        monkeypatch.setattr(parts, "_run", run)
        found = parts.sanitizers(parts.Settings())
        assert found["memcheck"]["summary"] == "ERROR SUMMARY: 0 errors"
        assert [command[2] for command, _ in ran] == ["memcheck", "racecheck"]
        assert ran[0][1] == {"GPUCNN_GPU_POOL": "off"}

    def test_comparisons_are_read_and_a_golden_file_is_asked_for(self, monkeypatch, tmp_path):
        reports = {"agree": False, "problems": ["model[0]: wrong"]}
        ran = []

        def run(command: Any, limit: Any, *, quiet: bool) -> Any:
            ran.append(command)
            if "mnist" in command:
                return parts.Done(1, 1.0, ["error: no"])
            return parts.Done(1, 1.0, ["a warning", *json.dumps(reports, indent=2).splitlines()])

        monkeypatch.setattr(parts, "_run", run)
        found = parts.comparisons(parts.Settings(output=tmp_path / "g.json"))
        assert found["digits, float32"]["problems"] == ["model[0]: wrong"]
        assert found["LeNet-like, float32"]["output"] == ["error: no"]
        assert [command[-2:] == ["--write", str(tmp_path / "g.golden.json")] for command in ran].count(True) == 1

    @pytest.mark.parametrize("name", parts.COMPARISONS)
    def test_what_is_compared_is_a_config(self, name):
        config, *rest = parts.COMPARISONS[name]
        load(find_config(config), [setting for setting in rest if "=" in setting])


class TestTime:
    """How long parts and processes may take, by a clock that only processes move."""

    @pytest.fixture
    def ran(self, monkeypatch):
        """The processes that were run, each of which takes all its time; `outcomes` says how they end."""
        now, calls, outcomes = [1000.0], [], []
        monkeypatch.setattr(parts, "time", SimpleNamespace(monotonic=lambda: now[0], perf_counter=lambda: now[0]))

        def run(command: Any, limit: float, *_: Any, **__: Any) -> Any:
            calls.append((list(command[3:]), limit))
            ended = outcomes.pop(0) if outcomes else (0, limit, None)
            now[0] += ended[1]
            if ended[2] is not None:
                Path(command[4]).write_text(json.dumps(ended[2]))
            return parts.Done(ended[0], ended[1], ["last words"])

        monkeypatch.setattr(parts, "_run", run)
        return SimpleNamespace(calls=calls, outcomes=outcomes, now=now)

    def test_the_networks_share_what_is_left(self, ran, monkeypatch):
        monkeypatch.setattr(parts, "CASES", parts.CASES[:3])
        ran.outcomes += [(0, 10.0, {"networks": [{"network": "a", "precision": "bf16"}]}), (None, 65.0, None)]
        found = parts.steps(parts.Settings(until=1090.0))
        assert [call[0][0] for call in ran.calls] == ["steps"] * 3
        assert [float(call[0][2]) for call in ran.calls] == [30.0, 40.0, 15.0]
        assert [call[1] for call in ran.calls] == [60.0, 70.0, 45.0]  # with the time to end by itself
        assert [call[0][-1] for call in ran.calls] == [case.name for case in parts.CASES]
        assert found["networks"][0] == {"part": "steps", "network": "a", "precision": "bf16"}
        assert found["networks"][1]["error"] == "stopped after 65 s"

    def test_where_none_is_left_nothing_is_started(self, ran):
        found = parts.PARTS["jax"](parts.Settings(until=1000.5))
        assert ran.calls == []
        assert [row["left_out"] for row in found["networks"]] == [["all"]] * len(parts.CASES)

    def test_passes_go_on_in_another_process(self, ran, tmp_path):
        known = {"passes": [1], "under_way": {"shape": "a"}}
        ran.outcomes += [(139, 5.0, known), (1, 5.0, {"passes": [1, 2]}), (0, 5.0, {"passes": [1, 2, 3]})]
        found = parts.PARTS["conv"](parts.Settings(output=tmp_path / "all.json"))
        assert (found["passes"], found["exit_code"], found["seconds"]) == ([1, 2, 3], 0, 15.0)
        assert {call[0][1] for call in ran.calls} == {str(tmp_path / "all.conv-so-far.json")}
        assert not list(tmp_path.iterdir())

    def test_a_process_that_knows_nothing_is_not_started_again(self, ran):
        ran.outcomes += [(1, 5.0, None)]
        assert parts.PARTS["conv"](parts.Settings())["exit_code"] == 1
        assert len(ran.calls) == 1
