"""The benchmark of a GPU, as far as it goes without one: parts outlive each other, and what is measured is right."""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in
from typer.testing import CliRunner

from benchmarks.app import app
from benchmarks.commands import gpu as command
from benchmarks.gpu import parts, summary
from benchmarks.gpu.clock import Clock, Way
from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.cuda import machine
from gpucnn.errors import DeviceError
from gpucnn.resources import find_config


class CpuClock:
    """Stands in for the device's clock: what runs on the CPU is done when the call returns."""

    cache_bytes = 1

    def __init__(self, device: Device) -> None:
        assert device.kind == "cuda"

    def queued(self, call: Any, calls: int) -> float:
        began = time.perf_counter()
        for i in range(calls):
            call(i)
        return (time.perf_counter() - began) / calls

    def interleaved(self, ways: Any, *, rounds: int, seconds: float) -> dict[str, dict[str, list[float]]]:
        times = {}
        for name, way in ways.items():
            way.prepare()
            times[name] = {kind: [self.queued(way.call, 1) for _ in range(rounds)] for kind in ("queued", "called")}
        return times

    called = queued


@pytest.fixture
def cupy(monkeypatch):
    return cupy_stand_in.install(monkeypatch)


def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match="CuPy is not installed"):
        CliRunner().invoke(app, ["gpu"], catch_exceptions=False)


@pytest.fixture
def on_a_gpu(monkeypatch):
    monkeypatch.setattr(Device, "named", staticmethod(lambda name: Device("cuda", 0)))
    monkeypatch.setattr(machine, "devices", lambda: [{"index": 0, "name": "NVIDIA Test 9"}])
    monkeypatch.setattr(machine, "versions", lambda: {"cupy": "14"})
    monkeypatch.setattr(command.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="a, b\n"))


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
    assert lines[1].split()[:4] == ["LeNet", "1", "forward", "2.0"]
    assert "tests: FAILED: RuntimeError: out of paper" in lines
    monkeypatch.setitem(parts.PARTS, "tests", measures)
    assert CliRunner().invoke(app, ["gpu", "tests", "--output", str(file)]).exit_code == 0
    assert CliRunner().invoke(app, ["gpu", "nothing", "--output", str(file)]).exit_code == 1


def conv_row(**changes: Any) -> dict[str, Any]:
    times = {"queued": [2e-6, 1e-6, 3e-6], "called": [1e-5]}
    return {
        "shape": "LeNet 1",
        "pass": "forward",
        "right": True,
        "roofline": {"gpucnn": 0.5},
        "ratio": 1.0,
        "seconds": {"gpucnn": times, "PyTorch": times, "PyTorch TF32": times},
        **changes,
    }


def test_what_is_wrong_or_missing_shows_in_the_summary():
    good = {"exit_code": 0, "seconds": 2.0, "passes": [conv_row()]}
    assert not summary.failed({"conv": good, "sanitize": {"skipped": "not found"}})
    for bad in (
        {**good, "exit_code": None},
        {**good, "exit_code": 139},
        {**good, "passes": [conv_row(right=False)]},
        {**good, "passes": [{"shape": "a", "pass": "b", "error": "c"}]},
    ):
        assert summary.failed({"conv": bad})
        assert summary.conv_rows(bad)
    assert summary.failed({"parity": {"digits": {"exit_code": 1, "seconds": 1.0, "problems": ["model[0]: wrong"]}}})
    assert summary.conv_rows({"passes": [conv_row(right=False)]})[0][-1] == "NO"
    network = {
        "network": "n",
        "batch_size": 8,
        "ratio": 0.5,
        "images_per_second": dict.fromkeys(conv_row()["seconds"], 9),
    }
    text = "\n".join(summary.notes({"steps": {"exit_code": 0, "seconds": 1.0, "networks": [network]}}))
    assert ["n", "8", "9", "9", "0.50", "9"] in [line.split() for line in text.splitlines()]
    assert "steps: ok in 1 s" in text


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
        found = parts.comparisons(parts.Settings(golden=tmp_path / "g.json"))
        assert found["digits, float32"]["problems"] == ["model[0]: wrong"]
        assert found["LeNet-like, float32"]["output"] == ["error: no"]
        assert [command[-2:] == ["--write", str(tmp_path / "g.json")] for command in ran].count(True) == 1

    @pytest.mark.parametrize("name", parts.COMPARISONS)
    def test_what_is_compared_is_a_config(self, name):
        config, *rest = parts.COMPARISONS[name]
        load(find_config(config), [setting for setting in rest if "=" in setting])


def test_the_parts_are_those_that_the_command_names():
    assert tuple(parts.PARTS) == command.NAMES


class TestClock:
    @pytest.fixture
    def clock(self, cupy, monkeypatch):
        """A device on which a second passes with every event, and which notes what it was asked to do."""
        events: list[str] = []

        class Event:
            def record(self) -> None:
                events.append("event")
                self.at = len([e for e in events if e == "event"])

            def synchronize(self) -> None: ...

        monkeypatch.setattr(cupy.cuda, "Event", Event, raising=False)
        elapsed = lambda first, last: 1000.0 * (last.at - first.at)  # noqa: E731
        monkeypatch.setattr(cupy.cuda, "get_elapsed_time", elapsed, raising=False)
        kernel = lambda grid, block, args: events.append(f"spin {args[0].dtype}")  # noqa: E731
        monkeypatch.setattr(type(cupy), "RawKernel", lambda self, text, name: kernel, raising=False)
        known = [{"clock_khz": 1_000_000, "l2_bytes": 0}]
        for user in ("benchmarks.gpu.clock", "gpucnn.cuda.spin"):
            monkeypatch.setattr(f"{user}.devices", lambda: known)
        clock = Clock(Device("cuda", 0))
        return SimpleNamespace(clock=clock, events=events)

    def test_times_are_those_between_events(self, clock):
        assert clock.clock.called(lambda i: None, 4) == 0.25
        assert clock.clock.cache_bytes == 2**26

    def test_work_is_queued_behind_a_kernel_that_keeps_the_device_busy(self, clock):
        calls: list[int] = []
        clock.clock.queued(lambda i: calls.append(i) or clock.events.append("call"), 2)
        assert clock.events == ["call", "call", "spin int64", "event", "call", "call", "event"]
        assert calls == [0, 1, 0, 1]

    def test_contenders_take_turns(self, clock):
        order: list[str] = []
        ways = {name: Way(lambda i: None, lambda name=name: order.append(name)) for name in "ab"}
        times = clock.clock.interleaved(ways, rounds=3, seconds=0.0)
        assert order == ["a", "b"] + ["a", "b"] * 3
        assert {name: {kind: len(v) for kind, v in found.items()} for name, found in times.items()} == {
            name: {"queued": 3, "called": 3} for name in "ab"
        }


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # a tensor becomes a NumPy array
class TestMeasured:
    """What is timed, run on the CPU: PyTorch there, and ours on CuPy's stand-in."""

    @pytest.fixture(autouse=True)
    def on_the_cpu(self, torch, cupy, monkeypatch):
        from benchmarks.gpu import ceilings, convolutions, steps

        for module in (ceilings, convolutions, steps):
            monkeypatch.setattr(module, "WHERE", "cpu")
        for module in (convolutions, steps):
            monkeypatch.setattr(module, "Clock", CpuClock)
        monkeypatch.setattr(ceilings, "COPY_BYTES", 2**12)
        monkeypatch.setattr(ceilings, "SIZE", 8)
        monkeypatch.setattr(convolutions, "IMPL", "reference")
        return convolutions

    def test_convolutions(self, on_the_cpu, monkeypatch):
        convolutions = on_the_cpu
        suite = [
            convolutions.Shape("grouped", 2, 7, 4, 6, 3, stride=2, padding=1, groups=2),
            convolutions.Shape("depthwise", 2, 6, 3, 3, 3, padding=1, groups=3),
            convolutions.Shape("too small", 2, 1, 3, 3, 3),
        ]
        monkeypatch.setattr(convolutions, "SUITE", suite)
        *_, known = convolutions.measure(Device("cuda", 0), rounds=2, seconds=0.0)
        assert set(known["ceilings"]) == {"bytes_per_second", "float32_per_second", "tf32_per_second"}
        good, bad = known["passes"][:6], known["passes"][6:]
        assert [row["pass"] for row in good] == ["forward", "backward data", "backward weight"] * 2
        for row in good:
            assert row.get("right"), row
            assert 0 < max(row["errors"].values()) < 1e-5
            assert {len(times["queued"]) for times in row["seconds"].values()} == {2}
            assert min(row["roofline"].values()) > 0
        assert all("error" in row for row in bad)
        assert len(bad) == 3
        json.dumps(known, allow_nan=False)
        assert len(summary.conv_rows(known)) == 9

    def test_a_pass_that_is_wrong_is_told(self, on_the_cpu, monkeypatch):
        shape = on_the_cpu.Shape("a", 2, 5, 3, 3, 3)
        monkeypatch.setattr(on_the_cpu, "SUITE", [shape])
        monkeypatch.setattr(on_the_cpu, "_ours", lambda shape, name: lambda a: a.x * np.float32("nan"))
        *_, known = on_the_cpu.measure(Device("cuda", 0), rounds=1, seconds=0.0)
        assert {row.get("right") for row in known["passes"]} <= {False, None}

    def test_shapes(self, on_the_cpu):
        assert len({shape.name for shape in on_the_cpu.SUITE}) == len(on_the_cpu.SUITE)
        shape = on_the_cpu.Shape("a", 2, 7, 4, 6, 3, stride=2, padding=1, groups=2)
        assert shape.shapes == ((2, 7, 7, 4), (6, 3, 3, 2), (2, 4, 4, 6))
        assert shape.operations == 2 * (2 * 4 * 4 * 6) * (3 * 3 * 2)
        assert shape.bytes == 4 * (2 * 7 * 7 * 4 + 6 * 3 * 3 * 2 + 2 * 4 * 4 * 6)

    def test_steps(self, monkeypatch):
        from benchmarks.gpu import steps

        monkeypatch.setattr(steps, "NETWORKS", {"digits": "digits", "nothing": "missing"})
        *_, known = steps.measure(Device("cuda", 0), rounds=2, seconds=0.0)
        digits, missing = known["networks"]
        assert (digits["network"], digits["batch_size"], digits["ratio"] > 0) == ("digits", 32, True)
        assert set(digits["images_per_second"]) == {"gpucnn", "PyTorch", "PyTorch TF32"}
        assert "no shipped experiment" in missing["error"]
        assert len(summary.step_rows(known)) == 2
