"""The benchmark of a GPU, as far as it goes without one: parts outlive each other, and what is measured is right."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in
from typer.testing import CliRunner

from benchmarks.app import app
from benchmarks.commands import gpu as command
from benchmarks.gpu import networks, parts, summary, tuning
from benchmarks.gpu.clock import Clock, Way
from benchmarks.gpu.suite import SUITE, Shape
from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.cuda import machine
from gpucnn.errors import DeviceError
from gpucnn.layers.base import Layer
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

    def interleaved(
        self, ways: Any, *, rounds: int, seconds: float, kinds: Any = ("queued",)
    ) -> dict[str, dict[str, list[float]]]:
        times = {}
        for name, way in ways.items():
            way.prepare()
            times[name] = {kind: [self.queued(way.call, 1) for _ in range(rounds)] for kind in kinds}
        return times

    @property
    def cuda(self) -> Any:
        return sys.modules["cupy"].cuda

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
    assert lines[1].split()[:6] == ["float32", "LeNet", "1", "forward", "exact", "2.0"]
    assert found["means"]["fast"]["all"] == 0.5
    assert "tests: FAILED: RuntimeError: out of paper" in lines
    monkeypatch.setitem(parts.PARTS, "tests", measures)
    assert CliRunner().invoke(app, ["gpu", "tests", "--output", str(file)]).exit_code == 0
    assert CliRunner().invoke(app, ["gpu", "nothing", "--output", str(file)]).exit_code == 1


def conv_row(**changes: Any) -> dict[str, Any]:
    return {
        "mode": "float32",
        "shape": "LeNet 1",
        "pass": "forward",
        "right": {"exact": True, "fast": True},
        "errors": {"exact": 1e-7, "fast": 2e-7, "cuDNN": 1e-7},
        "bound": 1e-5,
        "roofline": {"exact": 0.5, "fast": 1.0, "cuDNN": 0.5},
        "ratio": {"exact": 1.0, "fast": 0.5},
        "seconds": {"exact": [2e-6, 1e-6, 3e-6], "fast": [1e-6], "cuDNN": [2e-6]},
        **changes,
    }


def step_row(part: str = "steps", **changes: Any) -> dict[str, Any]:
    timed = {"steps": {"gpucnn": [3e-4], "gpucnn graph": [1e-4, 2e-4, 3e-4], "PyTorch": [6e-4]}, "jax": {"JAX": [4e-4]}}
    case = {"network": "n", "precision": "bf16", "goal": 1e-4, "floor": 5e-5}
    return {**case, "part": part, "seconds": timed.get(part, {}), "failed": {}, **changes}


def test_what_is_wrong_or_missing_shows_in_the_summary():
    good = {"exit_code": 0, "seconds": 2.0, "passes": [conv_row()]}
    assert not summary.failed({"conv": good, "sanitize": {"skipped": "not found"}})
    for bad in (
        {**good, "exit_code": None},
        {**good, "exit_code": 139},
        {**good, "passes": [conv_row(right={"exact": False, "fast": True})]},
        {**good, "passes": [conv_row(failed={"fast": "no such kernel"})]},
        {**good, "passes": [{"mode": "bf16", "shape": "a", "pass": "b", "error": "c"}]},
    ):
        assert summary.failed({"conv": bad})
        assert summary.conv_rows(bad)
    assert summary.failed({"parity": {"digits": {"exit_code": 1, "seconds": 1.0, "problems": ["model[0]: wrong"]}}})
    wrong = conv_row(right={"exact": False, "fast": True}, failed={"other": "no such kernel"})
    assert [row[-1] for row in summary.conv_rows({"passes": [wrong]})] == ["NO", "yes", "failed"]


def test_means_are_geometric_and_of_each_way_by_itself():
    rows = [conv_row(), conv_row(ratio={"exact": 4.0}), conv_row(**{"pass": "backward data"}, ratio={"exact": 0.25})]
    rows.append({"mode": "bf16", "shape": "a", "pass": "forward", "error": "c"})
    found = summary.means({"passes": rows})
    assert found["exact"] == pytest.approx({"forward": 2.0, "backward data": 0.25, "all": 1.0, "passes": 3})
    assert found["fast"] == pytest.approx({"forward": 0.5, "all": 0.5, "passes": 1})
    assert summary.mean_rows({"passes": rows})[0] == ["exact", "2.00", "0.25", "-", "1.00", "3 of 63"]


def test_steps_of_all_parts_are_one_row_beside_the_best_peer():
    steps = {"exit_code": 0, "seconds": 1.0, "networks": [step_row()]}
    jax = {"exit_code": 0, "seconds": 1.0, "networks": [step_row("jax")]}
    late = step_row("compiled", error="stopped after 60 s", left_out=["PyTorch compiled"])
    parts_ = {"steps": steps, "jax": jax, "compiled": {**steps, "networks": [late]}}
    (row,) = summary.merged(parts_)
    assert (row["best_peer"], row["ours"]) == ("JAX", 2e-4)
    assert (row["ratio"], row["of_goal"], row["roofline"]) == pytest.approx((0.5, 2.0, 0.25))
    assert summary.step_rows(parts_) == [["n", "bf16", "200", "300", "400", "JAX", "0.50", "100", "25 %"]]
    text = summary.notes(parts_)
    assert "n, bf16: part compiled: stopped after 60 s" in text
    assert "n, bf16: PyTorch compiled: no time was left" in text
    assert not summary.failed(parts_)  # what a peer cannot do is no failure of ours
    assert summary.failed({"steps": {**steps, "networks": [step_row(failed={"gpucnn graph": "no"})]}})
    assert not summary.failed({"steps": {**steps, "networks": [step_row(failed={"PyTorch": "no"})]}})
    nothing = {"steps": {**steps, "networks": [step_row(seconds={}, failed={"gpucnn": "no"})]}}
    assert summary.step_rows(nothing)[0][2:7] == ["failed", "-", "-", "-", "-"]
    json.dumps(summary.merged(nothing), allow_nan=False)


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
            name: {"queued": 3} for name in "ab"
        }

    def test_the_hosts_clock_waits_for_all_streams(self, clock, monkeypatch):
        """A call that returns at once, and whose work takes 6 s: it is done when the device has come to rest."""
        now, waiting = [0.0], [0]

        def synchronize(self: Any) -> None:
            now[0], waiting[0] = now[0] + 6.0 * waiting[0], 0

        monkeypatch.setattr("benchmarks.gpu.clock.time", SimpleNamespace(perf_counter=lambda: now[0]))
        monkeypatch.setattr(cupy_stand_in.Device, "synchronize", synchronize)
        waiting[0] = 1  # what others left
        call = lambda i: waiting.__setitem__(0, waiting[0] + 1)  # noqa: E731
        assert clock.clock.wall(call, 4) == 6.0


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # a tensor becomes a NumPy array
class TestMeasured:
    """What is timed, run on the CPU: PyTorch there, and ours on CuPy's stand-in."""

    @pytest.fixture(autouse=True)
    def on_the_cpu(self, torch, cupy, monkeypatch):
        from benchmarks.gpu import ceilings, convolutions, exchange, modes, steps

        monkeypatch.setattr(exchange, "WHERE", "cpu")
        monkeypatch.setattr(exchange, "_tensor", lambda x: torch.from_numpy(x.get()))
        for module in (convolutions, steps):
            monkeypatch.setattr(module, "Clock", CpuClock)
        monkeypatch.setattr(ceilings, "COPY_BYTES", 2**12)
        monkeypatch.setattr(ceilings, "SIZE", 8)
        monkeypatch.setattr(modes, "IMPL", "reference")
        half = replace(modes.MODES["bf16"], name="fp16", dtype="float16", ours={"fp16": "fast"}, ceiling="float16")
        monkeypatch.setattr(convolutions, "MODES", {"float32": modes.MODES["float32"], "fp16": half})
        return convolutions

    SUITE = (
        Shape("grouped", 5, 7, 4, 6, 3, stride=2, padding=1, groups=2),
        Shape("depthwise", 2, 6, 3, 3, 3, padding=1, groups=3),
        Shape("too small", 2, 1, 3, 3, 3),
    )

    def test_convolutions(self, on_the_cpu, monkeypatch):
        convolutions = on_the_cpu
        monkeypatch.setattr(convolutions, "SUITE", self.SUITE)
        monkeypatch.setattr(convolutions, "CHUNK_BYTES", 2 * 8 * (7 * 7 * 4 + 4 * 4 * 6))  # two images at a time
        *_, known = convolutions.measure(Device("cuda", 0), rounds=2, seconds=0.0)
        assert set(known["ceilings"]) == {"bytes", "float32", "tf32", "bfloat16", "float16"}
        good = [row for row in known["passes"] if row["shape"] != "too small"]
        assert [(row["mode"], row["pass"]) for row in good] == [
            (mode, name) for mode in ("float32", "fp16") for name in ["forward", "backward data", "backward weight"] * 2
        ]
        for row in good:
            ours = {"float32": {"exact", "fast"}, "fp16": {"fp16"}}[row["mode"]]
            assert row["right"] == dict.fromkeys(ours, True), row
            assert row["seconds"].keys() == row["errors"].keys() == row["roofline"].keys() == ours | {"cuDNN"}
            assert row["ratio"].keys() == ours
            low, high = {"float32": (0, 1e-6), "fp16": (1e-5, 2e-3)}[row["mode"]]
            assert low < row["errors"]["cuDNN"] < high, row
            assert all(0 < error < high for error in row["errors"].values()), row
            assert {len(times) for times in row["seconds"].values()} == {2}
            assert min(row["roofline"].values()) > 0
        assert sum("error" in row for row in known["passes"]) == len(known["passes"]) - len(good) == 6
        json.dumps(known, allow_nan=False)
        assert len(summary.conv_rows(known)) == 2 * 6 + 6 + 6

    def test_a_pass_that_is_wrong_is_told_and_one_that_fails_leaves_the_other(self, on_the_cpu, monkeypatch):
        monkeypatch.setattr(on_the_cpu, "SUITE", self.SUITE[1:2])
        wrong = {"exact": lambda x: x * np.float32("nan"), "fast": lambda x: x + np.float32(1e-3)}
        right = on_the_cpu.computed

        def computed(call: Any, setting: str) -> Any:
            return lambda arrays: wrong[setting](right(call, setting)(arrays))

        monkeypatch.setattr(on_the_cpu, "computed", computed)
        _, under_way, *_, known = on_the_cpu.measure(Device("cuda", 0), rounds=1, seconds=0.0)
        assert under_way["under_way"] == {"mode": "float32", "shape": "depthwise", "pass": "forward"}
        row = known["passes"][0]
        assert row["right"] == {"exact": False, "fast": False}
        assert row["errors"]["exact"] is None
        assert row["errors"]["fast"] > row["bound"]
        del wrong["fast"]
        *_, known = on_the_cpu.measure(Device("cuda", 0), rounds=1, seconds=0.0)
        assert known["passes"][0]["failed"] == {"fast": "KeyError: 'fast'"}
        assert known["passes"][0]["ratio"].keys() == {"exact"}

    def test_what_was_known_is_not_measured_again(self, on_the_cpu, monkeypatch):
        monkeypatch.setattr(on_the_cpu, "SUITE", self.SUITE[1:2])
        names = {"shape": "depthwise"}
        dead = {"mode": "float32", **names, "pass": "backward data"}
        before = {"ceilings": {}, "passes": [{"mode": "float32", **names, "pass": "forward"}], "under_way": dead}
        *_, known = on_the_cpu.measure(Device("cuda", 0), rounds=1, seconds=0.0, until=0.0, known=before)
        assert known["passes"] == [before["passes"][0], {**dead, "error": "the process ended during this pass"}]
        assert known["left_out"] == 4

    def test_a_device_that_answers_no_more_ends_the_process(self, on_the_cpu, monkeypatch):
        def broken(self: Any) -> None:
            raise RuntimeError("illegal address")

        monkeypatch.setattr(on_the_cpu, "SUITE", self.SUITE[1:2])
        monkeypatch.setattr(on_the_cpu, "_pass", broken)
        monkeypatch.setattr(cupy_stand_in.Device, "synchronize", broken)
        known: dict[str, Any] = {"ceilings": {}, "passes": []}
        with pytest.raises(tuning.Broken, match="illegal address"):
            deque(on_the_cpu.measure(Device("cuda", 0), rounds=1, seconds=0.0, known=known))
        assert ["error" in row for row in known["passes"]] == [True]

    def test_steps(self, monkeypatch):
        from benchmarks.gpu import networks, steps

        monkeypatch.setitem(networks.CONFIGS, "LeNet", "digits")
        *_, known = steps.measure(Device("cuda", 0), part="steps", name="LeNet:float32", rounds=2, seconds=0.0)
        (row,) = known["networks"]
        assert row["seconds"].keys() == {"gpucnn", "PyTorch"}
        assert max(row["errors"].values()) < 1e-5
        assert "gpucnn graph" in row["failed"]  # nor graphs on a stand-in
        assert "PyTorch graph" in row["failed"]  # no streams on a CPU
        assert (row["batch_size"], row["floor"] > 0, row["images_per_second"].keys()) == (
            32,
            True,
            row["seconds"].keys(),
        )
        json.dumps(known, allow_nan=False)
        *_, known = steps.measure(Device("cuda", 0), part="jax", name="LeNet:float32", rounds=1, seconds=0.0, until=0.0)
        assert known["networks"][0]["left_out"] == ["JAX"]

    def test_another_network_is_not_timed(self, monkeypatch):
        from benchmarks.gpu import contenders, networks, steps, torch_contenders

        monkeypatch.setitem(networks.CONFIGS, "LeNet", "digits")
        monkeypatch.setitem(contenders.PARTS, "steps", ("gpucnn", "PyTorch"))
        scores = torch_contenders.TorchOnDevice.scores
        monkeypatch.setattr(torch_contenders.TorchOnDevice, "scores", lambda self: scores(self) + 1)
        *_, known = steps.measure(Device("cuda", 0), part="steps", name="LeNet:float32", rounds=1, seconds=0.0)
        assert known["networks"][0]["seconds"].keys() == {"gpucnn"}
        assert "other scores than this network's" in known["networks"][0]["failed"]["PyTorch"]

    def test_a_step_is_captured_once_after_others(self, torch, monkeypatch):
        """With a fake graph, which notes what was computed while it was open."""
        from benchmarks.gpu import contenders, torch_contenders
        from benchmarks.peers.base import Batch

        events: list[str] = []
        noting = lambda name: contextmanager(lambda *_: iter([events.append(name)]))  # noqa: E731
        stream = SimpleNamespace(wait_stream=lambda other: None)
        fakes = {
            "Stream": lambda: stream,
            "current_stream": lambda: stream,
            "stream": noting("aside"),
            "graph": noting("capture"),
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: events.append("replay")),
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        monkeypatch.setattr(torch_contenders.TorchOnDevice, "step", lambda self: events.append("step"))
        experiment = load(find_config("digits"), ["optimizer=adam"])
        batch = Batch.random(experiment)
        host = contenders.build_model(experiment, batch.x.shape[1:], Device("cpu"))
        graph = contenders.make("PyTorch graph", experiment, batch, host, Device("cpu"), steps=2)
        for _ in range(2):
            graph.step()
        assert events == ["aside", "step", "step", "step", "capture", "step", "step", "replay", "replay"]
        assert all(group["capturable"] for group in graph.optimizer.param_groups)

    def test_our_graph_is_made_of_the_experiment_and_a_batch_on_the_device(self, cupy, monkeypatch):
        from benchmarks.gpu import contenders, modes
        from benchmarks.peers.base import Batch
        from benchmarks.processes import Failed

        experiment = load(find_config("digits"), ["precision=float64", "impl=reference", "data.batch_size=3"])
        batch = Batch.random(experiment)
        same = contenders.Ours(experiment, batch, Device("cuda", 0))
        same.step()

        class CapturedStep:
            wrong = 0.0

            def __init__(self, *given: Any) -> None:
                assert given[0] is experiment
                assert [type(array) for array in given[1:3]] == [cupy_stand_in.ndarray] * 2
                assert given[3:] == (Device("cuda", 0), 4)
                assert modes.numerics.current() == experiment.numerics

            def __call__(self) -> str:
                return "replayed"

            def losses(self) -> Any:
                return np.array([float(same.loss_value) + self.wrong])

        monkeypatch.setattr(contenders, "CapturedStep", CapturedStep)
        graph = contenders.OursAsGraph(experiment, batch, Device("cuda", 0), steps=4)
        assert (graph.step(), graph.steps, graph.scores().shape) == ("replayed", 4, (3, 10))
        CapturedStep.wrong = 0.1
        with pytest.raises(Failed, match="the graph's first loss is"):
            contenders.OursAsGraph(experiment, batch, Device("cuda", 0), steps=4).scores()


class TestTuning:
    @pytest.fixture
    def tuner(self, cupy, monkeypatch):
        """A tuner whose tasks are words; `bad` ones raise."""

        class Tuner:
            def __init__(self, *_: Any) -> None: ...

            def tune(self, tasks: Any, cache: Any) -> Any:
                if "bad" in tasks:
                    raise RuntimeError("illegal address")
                seconds = {"slow": 2.0, "quick": 1.0}
                return {task: SimpleNamespace(plan="quick", default="slow", seconds=seconds) for task in tasks}

        fakes = {
            "Cache": lambda identity: None,
            "identity": lambda device: {},
            "clock": lambda device: None,
            "Tuner": Tuner,
            "choices": lambda which, device: {"t": "quick"}.get,
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(tuning, name, fake)
        items = {"a": lambda: ["t", "u"], "b": lambda: ["bad"], "c": lambda: ["v"]}
        monkeypatch.setattr(tuning, "_items", lambda device: items)

    def test_what_was_found_is_told_and_what_failed(self, tuner):
        *_, known = tuning.measure(Device("cuda", 0))
        good, bad, after = known["tuned"]
        assert good == {"item": "a", "gains": {"t": 2.0, "u": 2.0}, "plans": {"t": "quick", "u": "quick"}}
        assert bad == {"item": "b", "error": "RuntimeError: illegal address"}
        assert after["item"] == "c"
        assert summary.failed({"tune": {"exit_code": 0, "seconds": 1.0, **known}})

    def test_it_goes_on_after_a_death_and_ends_in_time(self, tuner):
        before = {"tuned": [{"item": "a"}], "under_way": "b"}
        *_, known = tuning.measure(Device("cuda", 0), until=0.0, known=before)
        assert known == {
            "tuned": [{"item": "a"}, {"item": "b", "error": "the process ended during this"}],
            "left_out": 1,
        }

    def test_a_broken_device_ends_the_process(self, tuner, monkeypatch):
        def broken(self: Any) -> None:
            raise RuntimeError("illegal address")

        monkeypatch.setattr(cupy_stand_in.Device, "synchronize", broken)
        with pytest.raises(tuning.Broken):
            deque(tuning.measure(Device("cuda", 0)))

    def test_plans_are_chosen_as_runs_choose_them(self, tuner, monkeypatch):
        monkeypatch.setattr(tuning.plans, "candidates", lambda task: ("default",))
        with tuning.as_runs_do(Device("cuda", 0)):
            assert [tuning.plans.chosen(task) for task in ("t", "u")] == ["quick", "default"]
            assert tuning.seen(lambda: tuning.plans.chosen("u")) == ["u"]

    def test_networks_and_passes_are_tuned(self, torch):
        items = list(tuning._items(Device("cuda", 0)))
        assert items[: len(networks.CASES)] == [case.name for case in networks.CASES]
        assert "bf16 ResNet-50 512 @7 backward weight" in items
        assert len(items) == len(networks.CASES) + 3 * 21 * 3


class TestSuite:
    def test_shapes(self):
        assert len({shape.name for shape in SUITE}) == len(SUITE) == 21
        shape = Shape("a", 2, 7, 4, 6, 3, stride=2, padding=1, groups=2)
        assert shape.shapes == ((2, 7, 7, 4), (6, 3, 3, 2), (2, 4, 4, 6))
        assert shape.operations == 2 * (2 * 4 * 4 * 6) * (3 * 3 * 2)
        assert shape.elements == 2 * 7 * 7 * 4 + 6 * 3 * 3 * 2 + 2 * 4 * 4 * 6
        assert Shape("a", 1, 8, 4, 6, 1, stride=2).elements == 4 * 4 * 4 + 6 * 4 + 4 * 4 * 6

    def test_work_of_a_step_by_hand(self):
        from benchmarks.gpu.floors import Work, work
        from gpucnn.model import Model

        specs = [{"conv2d": {"out_channels": 2, "kernel_size": 1, "stride": 2}}, "relu", "flatten", {"dense": 3}]
        layers = [Layer.registry.validate(spec).build() for spec in specs]
        found = work(Model(layers, (4, 4, 1)), images=10)
        conv, dense = (10 * 16, 10 * (4 + 8) + 2), (10 * 48, 10 * (8 + 3) + 24)
        assert [elements for _, elements in found.passes] == [conv[1]] * 2 + [dense[1]] * 3
        assert found.operations == 2 * 10 * layers[0].flops((4, 4, 1)) + 3 * 10 * layers[3].flops((8,))
        assert found.others == 10 * (2 * 8 + 3 * 8)
        assert Work([(100, 10)]).seconds(50.0, 40.0, 4) == 2.0
        assert Work([(100, 100)]).seconds(50.0, 40.0, 2) == 5.0

    def test_floors_are_printed_without_a_gpu(self, monkeypatch, tmp_path):
        from benchmarks.gpu import networks

        monkeypatch.setattr(networks, "CASES", networks.CASES[:1])
        result = CliRunner().invoke(app, ["floors", "--output", str(tmp_path / "f.json")], catch_exceptions=False)
        lines = [line.split() for line in result.stdout.splitlines()]
        assert ["LeNet", "6-16", "5x5", "@14", "512"] in [line[:5] for line in lines]
        assert lines[-1][0] == "LeNet:float32"
        assert lines[-1][-1] == "60.0"

    @pytest.mark.parametrize("name", networks.CONFIGS)
    def test_networks_are_experiments_of_the_stated_batch(self, name):
        batches = {"LeNet": 512, "airbench-like": 1024}
        experiment = networks.Case(name, "float32").experiment()
        assert experiment.data.batch_size == batches.get(name, 128)
        assert experiment.optimizer.name == "sgd"
