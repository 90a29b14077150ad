"""`gpucnn tune` and what follows from it, through CuPy's stand-in, by a clock that tells what a test wants it to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checks.tuning import FakeClock
from cushim import cupy_stand_in
from kernels.test_training_on_kernels import CONFIG

import gpucnn
from gpucnn.backend import Device
from gpucnn.cli import main
from gpucnn.cuda import dense_gradients, plans
from gpucnn.cuda.families import apart, band_backward, plain
from gpucnn.cuda.plans import Plan
from gpucnn.profiling import peaks, tuned
from gpucnn.training.checkpoint import Checkpoint
from gpucnn.training.observer import Observer
from gpucnn.tuning.cache import Cache, identity

SMALL = {
    "name": "small",
    "data": {"dataset": {"synthetic": {"size": 6, "train": 8, "test": 8, "classes": 3}}, "batch_size": 4},
    "model": [{"conv2d": {"out_channels": 4, "padding": 1}}, "relu", "flatten", {"dense": 3}],
    "optimizer": {"sgd": {"lr": 0.1}},
    "training": {"epochs": 2, "checkpoint_every": {"steps": 1}},
}


@pytest.fixture(autouse=True)
def cuda(modules: Any, nothing_drawn: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """CuPy's stand-in with kernels, one family of plans, a cache of its own, and peaks that are measured in no time."""
    monkeypatch.setenv("GPUCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plans, "families", lambda: {"plain": plain})
    monkeypatch.setattr(dense_gradients, "is_faster", lambda data: False)  # they are products, which have plans
    for name, value in {"CPU_SIZE": 16, "GPU_SIZE": 16, "COPY_BYTES": 2**14}.items():
        monkeypatch.setattr(peaks, name, value)
    cupy_stand_in.install(monkeypatch, lambda kernel, dtype: modules[dtype].get_function(kernel.name))
    yield
    plans.candidates.cache_clear()


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(json.dumps(SMALL))
    return str(path)


def favour(monkeypatch: pytest.MonkeyPatch, best: str) -> None:
    """Let a clock find one plan, where there is such a one, twice as fast as all others."""
    clock = FakeClock(lambda plan, turn: 1e-5 if plan == best else 2e-5)
    monkeypatch.setattr(tuned, "clock", lambda device: clock)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_the_command_prints_what_it_found_and_keeps_it(config, monkeypatch, capsys):
    favour(monkeypatch, "plain pieces=2")
    out = told(capsys, "tune", config)
    title, table, kept = out.rstrip("\n").split("\n\n")
    assert title.startswith("small on cuda:0: 5 tasks, 5 measured now, in ")
    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == ["layer", "pass", "plan", "us", "default", "us", "gain", "roofline"]
    assert [row[:-5] for row in rows[1:-1]] == [
        ["model[0].conv2d", "forward", "plain"],
        ["backward", "weight", "plain", "pieces=2"],
        ["model[3].dense", "forward", "plain"],
        ["backward", "data", "plain"],
        ["backward", "weight", "plain", "pieces=2"],
    ]
    assert [row[-5:-2] for row in rows[1:3]] == [["20.00", "20.00", "1.00x"], ["10.00", "20.00", "2.00x"]]
    assert rows[-1] == ["all", "80.00", "100.00", "1.25x"]
    cache = Cache(identity(Device.named("cuda")))
    assert kept == f"kept in {cache.path}"
    assert len(cache.read()) == 5


def test_json_holds_every_plan_and_what_is_known_is_not_measured_again(config, monkeypatch, capsys):
    favour(monkeypatch, "plain pieces=2")
    first = json.loads(told(capsys, "tune", config, "--json"))
    again = json.loads(told(capsys, "tune", config, "--json"))
    assert [row["is_new"] for row in first["passes"]] == [True] * 5
    assert [row["is_new"] for row in again["passes"]] == [False] * 5
    row = again["passes"][1]
    assert (row["path"], row["pass"]) == ("0.conv2d", "backward weight")
    assert row["plan"] == next(iter(row["plans"])) == "plain pieces=2"
    assert row["task"].startswith("backward_weight x=4x6x6x1 w=4x3x3x1 groups=1 stride=1x1 dilation=1x1 pads=1x1x1x1")
    fresh = json.loads(told(capsys, "tune", config, "--json", "--again"))
    assert [row["is_new"] for row in fresh["passes"]] == [True] * 5


def test_graphs_of_the_stand_in_are_timed_as_those_of_a_gpu_are(config, capsys):
    """Captured, replayed and compared with the default plan's results; times are the host's."""
    found = json.loads(told(capsys, "tune", config, "--json"))["passes"]
    assert [len(row["plans"]) for row in found] == [1, 3, 1, 1, 3]
    assert all(not row["failed"] and row["plan"] in row["plans"] for row in found)
    assert all(seconds > 0 for row in found for seconds in row["plans"].values())


def test_both_gradients_and_what_is_left_of_an_epoch_are_measured(config, monkeypatch, capsys):
    """At once and apart, after each of them; a run computes them as was faster, of its smaller last batch, too."""
    monkeypatch.setattr(plans, "families", lambda: {"plain": plain, "apart": apart, "band_backward": band_backward})
    data = SMALL["data"] | {"dataset": {"synthetic": {"size": 6, "train": 7, "test": 8, "classes": 3}}}
    model = [SMALL["model"][0], "relu", {"conv2d": {"out_channels": 5, "padding": 1}}, *SMALL["model"][2:]]
    settings = SMALL | {"data": data, "model": model}
    Path(config).write_text(json.dumps(settings))
    clock = FakeClock(lambda plan, turn: 1e-5 if plan == "apart" else 2e-5)
    monkeypatch.setattr(tuned, "clock", lambda device: clock)
    title, table, left, kept = told(capsys, "tune", config).rstrip("\n").split("\n\n")
    assert title.startswith("small on cuda:0: 18 tasks, 18 measured now, in ")
    times = [float(line.split()[-5]) for line in table.splitlines()[1:-1]]
    assert sum(times) == 8 * 20 + 10
    assert table.splitlines()[-1].split()[1] == f"{sum(times) - 2 * 20:.2f}"  # both are what the two of them are
    assert left == "measured, too: what is left over of an epoch or a batch, 3 images"
    found = json.loads(told(capsys, "tune", config, "--json"))["passes"]
    listed = [(row["pass"], row["task"].split("x=")[1][0]) for row in found if row["path"] == "2.conv2d"]
    passes = ["forward", "backward data", "backward weight", "both gradients"]
    assert listed == [(name, images) for images in "43" for name in passes]
    assert not any(row["failed"] for row in found)
    for which, family in (("default", "band_backward"), ("tuned", "apart")):
        gpucnn.train(settings | {"plans": which}, run_dir=which, device="cuda", observer=Observer())
        kept = json.loads((Path(which) / "plans.json").read_text())
        both = {task.split()[1]: plan.split()[0] for task, plan in kept.items() if task.startswith("both_gradients")}
        assert both == {"x=4x6x6x4": family, "x=3x6x6x4": family}
        assert any(task.startswith("backward_data x=4x6x6x4") for task in kept) == (family == "apart")


def test_a_config_that_does_not_use_them_is_noted(config, monkeypatch, capsys):
    favour(monkeypatch, "plain")
    assert main(["tune", config, "plans=default"]) == 0
    assert capsys.readouterr().err == "plans is default: runs of this config will not use what is found\n"


def test_check_lists_the_plan_of_each_pass(config, monkeypatch, capsys):
    before = told(capsys, "check", config, "--device", "cuda").rstrip("\n").split("\n\n")[-1].splitlines()
    assert before[0].split() == ["layer", "pass", "plan", "chosen", "by"]
    assert before[2].split() == ["backward", "weight", "plain", "pieces=1", "estimate"]
    favour(monkeypatch, "plain pieces=2")
    told(capsys, "tune", config)
    after = json.loads(told(capsys, "check", config, "--device", "cuda", "--json"))["plans"]
    assert (after[1]["plan"], after[1]["measured"]) == ("plain pieces=2", True)
    default = json.loads(told(capsys, "check", config, "plans=default", "--device", "cuda", "--json"))["plans"]
    assert (default[1]["plan"], default[1]["measured"]) == ("plain pieces=1", False)
    assert "plans" not in json.loads(told(capsys, "check", config, "--json"))
    assert json.loads(told(capsys, "check", config, "impl=reference", "--device", "cpu", "--json"))["plans"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cpu"], "device cpu: it is the kernels of a GPU that are tuned: use --device cuda"),
        (["impl=reference"], "small: no layer of it asks for a plan, so there is nothing to tune"),
    ],
)
def test_what_cannot_be_tuned_is_told(config, capsys, arguments, message):
    assert main(["tune", config, *arguments]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def trained(run: str = "run", observer: Observer | None = None, **options: Any) -> dict[str, np.ndarray]:
    return gpucnn.train(SMALL, run_dir=run, device="cuda", observer=observer or Observer(), **options).model.arrays()


class Stops(Observer):
    """Breaks off, as if the machine had stopped, after a step; keeps what it is told."""

    def __init__(self, last: int = -1) -> None:
        self.last, self.messages = last, []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def step(self, metrics: Any) -> None:
        if metrics["step"] == self.last:
            raise ConnectionError


def differ(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return any((a[name] != b[name]).any() for name in a)


def test_a_run_goes_on_by_the_plans_it_began_with(config, monkeypatch, capsys):
    """Whatever is measured meanwhile: to the bit, where other plans have other bits."""
    default = trained("default")
    favour(monkeypatch, "plain pieces=2")
    told(capsys, "tune", config)
    tuned_ = trained("tuned")
    assert differ(default, tuned_)
    assert not differ(default, trained("asked", overrides=["plans=default"]))
    with pytest.raises(ConnectionError):
        trained(observer=Stops(2))
    favour(monkeypatch, "plain pieces=4")
    told(capsys, "tune", config, "--again")
    assert not differ(tuned_, trained(resume=True))
    assert differ(tuned_, trained("anew"))
    kept = json.loads(Path("run/plans.json").read_text())
    assert sorted(set(kept.values())) == ["plain", "plain pieces=2"]
    assert gpucnn.load("run").checkpoint.plans == kept


def test_a_checkpoint_of_a_plan_that_is_not_known_goes_on_by_the_default_and_says_so():
    with pytest.raises(ConnectionError):
        trained(observer=Stops(3))
    path = Path("run/checkpoints/step-00000002.safetensors")
    checkpoint = Checkpoint.read(path)
    task = next(task for task in checkpoint.plans if task.startswith("backward_weight"))
    checkpoint.plans[task] = str(Plan.of("gone", m=1, n=2))
    checkpoint.write(path)
    observer = Stops()
    weights = trained(resume=True, observer=observer)
    assert sum("has no plan 'gone 1x2'" in text for text in observer.messages) == 1
    assert not differ(weights, trained("whole"))


def test_a_damaged_cache_is_told_once_and_training_goes_on():
    cache = Cache(identity(Device.named("cuda")))
    cache.path.parent.mkdir(parents=True)
    cache.path.write_text("{")
    observer = Stops()
    trained(observer=observer)
    assert sum("is damaged" in text for text in observer.messages) == 1
    assert not cache.path.exists()


def test_a_run_on_the_cpu_has_no_plans(tmp_path):
    gpucnn.train(CONFIG, run_dir="cpu", device="cpu", observer=Observer())
    assert not (tmp_path / "cpu" / "plans.json").exists()
    assert gpucnn.load("cpu").checkpoint.plans == {}
