"""`python -m benchmarks cpu`, at work on as little as there is."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from benchmarks import cpu_networks
from benchmarks.app import app
from benchmarks.commands import cpu
from benchmarks.processes import Failed
from gpucnn.model import infer


@pytest.mark.parametrize("name", cpu_networks.NETWORKS)
def test_networks_are_experiments(name):
    found = cpu_networks.experiment(name)
    info = found.data.dataset.build().info()
    assert infer([spec.build() for spec in found.model], info.shape) == (10,)
    assert found.data.batch_size == cpu_networks.NETWORKS[name]
    assert cpu_networks.goal(name, "training step") in (0.75, 1.0, 1.2)
    assert cpu_networks.goal(name, "evaluation") == 1.0


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(cpu.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(cpu, "REST", 0.0)
    file = tmp_path / "cpu.json"
    arguments = ["cpu", "lenet-64", "--rounds", "1", "--seconds", "0", "--threads", "1", "--output", str(file)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert found["not_measured"] == ["PyTorch (not installed)"]
    assert len(found["seconds"]["lenet-64"]["training step"]["gpucnn"]) == 1
    lines = result.stdout.splitlines()
    assert lines[1].split()[:3] == ["lenet-64", "training", "step"]
    assert lines[-1] == "not measured: PyTorch (not installed)"


def test_the_ratio_is_of_times():
    times = {"gpucnn": [1.0, 2.0, 3.0], "PyTorch eager NCHW": [2.0, 2.0, 2.0], "PyTorch eager channels_last": [9.0] * 3}
    row = cpu._row("lenet-64", "training step", times, 0.75)
    assert row[2:] == ["2000.0 ms", "2000.0 ms", "1.00", "0.50..1.50", "0.75", "eager NCHW"]
    assert list(times) == ["gpucnn", "PyTorch eager NCHW", "PyTorch eager channels_last"]


def test_unknown_networks_and_workers_that_fail_are_named():
    with pytest.raises(Failed, match="nothing is not one of lenet-64"):
        CliRunner().invoke(app, ["cpu", "nothing"], catch_exceptions=False)
    with pytest.raises(Failed, match="gpucnn ended with exit code 1"):
        cpu._Worker("nothing", "gpucnn", 1, {})
