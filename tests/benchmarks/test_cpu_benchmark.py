"""`python -m benchmarks cpu`, at work on as little as there is."""

from __future__ import annotations

import importlib
import json
from statistics import geometric_mean

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.app import app
from benchmarks.cpu import epochs, memory, networks, passes, turns, worker
from benchmarks.peers.gpucnn import Gpucnn
from benchmarks.processes import Failed
from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.model import infer
from gpucnn.training.parts import build_model

ALONE = turns.Settings(threads=1, rounds=1, seconds=0.0, peers=[], missing=[])
EAGER = "PyTorch eager NCHW"
EXHAUSTIVE = pytest.mark.exhaustive


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_networks_are_experiments(name):
    found = networks.experiment(name)
    info = found.data.dataset.build().info()
    assert infer([spec.build() for spec in found.model], info.shape) == (10,)
    assert found.data.batch_size == networks.NETWORKS[name]
    assert networks.goal(name, "training step") in (0.75, 1.0, 1.2)
    assert networks.goal(name, "evaluation") == 1.0


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(turns, "REST", 0.0)
    file = tmp_path / "cpu.json"
    arguments = ["cpu", "lenet-64", "--rounds", "1", "--seconds", "0", "--threads", "1", "--output", str(file)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert found["not_measured"] == ["PyTorch (not installed)"]
    assert len(found["steps"]["lenet-64"]["training step"]["gpucnn"]) == 1
    lines = result.stdout.splitlines()
    assert lines[1].split()[:3] == ["lenet-64", "training", "step"]
    assert lines[-2] == "not measured: PyTorch (not installed)"


def test_the_ratio_is_of_times():
    times = {"gpucnn": [1.0, 2.0, 3.0], EAGER: [2.0, 2.0, 2.0], "PyTorch eager channels_last": [9.0] * 3}
    assert turns.best_peer(times) == EAGER
    assert turns.ratios(times) == [0.5, 1.0, 1.5]
    assert turns.compared(times, 0.75) == ["2.0 s", "2.0 s", "1.00", "0.50..1.50", "0.75", "eager NCHW"]
    assert turns.compared({"gpucnn": [0.002]}, None) == ["2.0 ms", "-", "-", "-", "-", "-"]
    assert turns.ratios({"gpucnn": [1.0]}) == []


def test_unknown_parts_and_workers_that_fail_are_named():
    with pytest.raises(Failed, match="nothing is not one of steps, passes, epoch, memory, data, lenet-64"):
        CliRunner().invoke(app, ["cpu", "nothing"], catch_exceptions=False)
    with pytest.raises(Failed, match="gpucnn ended with exit code 1"):
        turns.Worker("nothing", "gpucnn", 1, {})


def test_the_geometric_mean_is_over_cases_and_passes():
    measured = {
        "A": {"forward": {"gpucnn": [1.0, 9.0, 1.0], EAGER: [2.0, 2.0, 2.0]}},
        "B": {"forward": {"gpucnn": [8.0], EAGER: [1.0]}},
    }
    assert passes.overall(measured) == pytest.approx(geometric_mean([0.5, 8.0]))
    assert passes.overall({"A": {"forward": {"gpucnn": [1.0]}}}) is None


@pytest.mark.torch
@pytest.mark.parametrize("name", turns.EAGER)
def test_passes_are_pytorchs(torch, name, monkeypatch):
    case = passes.Case(2, 5, 3, 4, 3)
    theirs = passes.contender(case, name)
    x, w, dy = case.arrays()
    assert theirs.forward().shape == dy.shape
    assert theirs.backward_data().shape == x.shape
    assert theirs.backward_weight().shape == w.shape
    right = passes.Ours.backward_weight
    monkeypatch.setattr(passes.Ours, "backward_weight", lambda self: right(self) * np.float32(1.001))
    with pytest.raises(Failed, match=r"backward weight of 3 -> 4, 3x3 @5, N 2: PyTorch eager .* differs .* by 0.001"):
        passes.contender(case, name)


def test_a_worker_times_passes_and_networks(monkeypatch):
    monkeypatch.setitem(passes.CASES, "A", passes.Case(1, 4, 2, 2, 3))
    assert worker.turn(worker.build("A", "gpucnn", 1).backward_data, 0.0) > 0
    assert isinstance(worker.build("lenet-64", "gpucnn", 1), Gpucnn)


def test_the_peak_of_a_step_holds_what_the_step_needs():
    """At least weights, gradients and velocities: three times 1.7 million numbers."""
    part = memory.memory(["lenet-64"], ALONE)
    (row,) = part.rows
    assert part.measured["lenet-64"]["gpucnn"] > 3 * 4 * 1_663_370
    assert row[2].endswith("MiB")


def test_an_epoch_is_timed_and_its_share_of_data_told(monkeypatch):
    monkeypatch.setattr(epochs, "LOADED", {"lenet-64": ("mnist", 128)})
    part = epochs.first_epoch(ALONE, images=128)
    (seconds,) = part.measured["seconds"]["gpucnn"]
    assert seconds > 0.05
    found = epochs.data_share(ALONE).measured["lenet-64"]
    assert found["step"] == 2
    assert found["share"] == found["data_seconds"] / found["seconds"] < 1


def test_the_epochs_config_has_the_networks_data(tmp_path):
    config, file = epochs.write(tmp_path, "lenet-64", 100, [{"random_crop": {"padding": 2}}])
    found = load(config)
    info = found.data.dataset.build().info()
    assert (info.shape, info.train, len(info.classes), found.data.batch_size) == ((28, 28, 1), 100, 10, 64)
    assert [spec.name for spec in found.data.augment] == ["random_crop"]
    assert file.is_file()


@pytest.mark.torch
def test_pytorchs_epoch_has_our_network(torch):
    from benchmarks.peers import torch_epoch

    model = build_model(networks.experiment("lenet-64"), (28, 28, 1), Device("cpu"))
    ours = sorted(parameter.value.size for parameter in model.params.values())
    assert sorted(parameter.numel() for parameter in torch_epoch.network().parameters()) == ours
    assert torch_epoch.network()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert networks.NETWORKS["lenet-64"] == torch_epoch.BATCH


@pytest.mark.torch
@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("name", [turns.EAGER[0], *(pytest.param(n, marks=EXHAUSTIVE) for n in turns.EAGER[1:])])
def test_pytorchs_epoch_runs(name, tmp_path):
    _, file = epochs.write(tmp_path, "lenet-64", 70)
    assert float(epochs.run(["benchmarks.peers.torch_epoch", str(file), name, "1"], 1, {})) > 0
