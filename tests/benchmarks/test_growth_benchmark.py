"""`python -m benchmarks growth`: the networks, the figures for an image, and the pictures."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from benchmarks.app import app
from benchmarks.cpu import growth, networks
from benchmarks.cpu.growth import Grown, Point
from benchmarks.cpu.pictures import draw
from benchmarks.processes import Failed
from gpucnn.model import infer


def points(*values):
    return [Point(value, 2e-3 * value, 1e-3 * value, 2.0**20 * value, 4, 10**6) for value in values]


@pytest.mark.parametrize("axis", growth.AXES)
def test_networks_have_names_from_which_they_are_made(axis):
    grown = Grown(**{axis: growth.AXES[axis][0]})
    assert Grown.named(str(grown)) == grown
    found = networks.experiment(str(grown))
    assert found.data.batch_size == grown.batch
    layers = [spec.build() for spec in found.model]
    assert infer(layers, found.data.dataset.build().info().shape) == (10,)
    convolutions = [layer for layer in layers if layer.name == "conv2d"]
    assert [layer.out_channels for layer in convolutions] == [grown.channels] * grown.depth


def test_other_names_are_none_of_them():
    assert Grown.named("lenet-64") is None


def test_figures_are_for_one_image():
    point = Point(8, 2e-3, 1e-3, 2.0**20, 4, 5 * 10**9)
    assert point.flops_per_second == 5e12
    part = growth.as_part({"batch": [point]})
    assert part.rows == [["batch", "8", "2.0 ms", "1.0 ms", "5000", "1.00 MiB"]]
    assert part.measured["axes"]["batch"][0]["peak_bytes"] == 2.0**20


def test_pictures_are_drawn_of_what_there_is(tmp_path):
    pytest.importorskip("matplotlib")
    files = draw({"batch": points(1, 2, 4), "depth": points(1, 2)}, tmp_path)
    assert [file.name for file in files] == ["growth-time.png", "growth-memory.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_the_command(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(growth.AXES, "depth", [1])
    file = tmp_path / "growth.json"
    options = ["--rounds", "1", "--seconds", "0", "--threads", "1", "--pictures", str(tmp_path), "--output", str(file)]
    result = CliRunner().invoke(app, ["growth", "depth", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    (point,) = found["axes"]["depth"]
    assert found["base"] == {"batch": 64, "size": 32, "channels": 32, "depth": 4}
    assert point["step_seconds"] > point["evaluate_seconds"] > 0
    assert point["peak_bytes"] > 4 * 32 * 32 * 32  # the convolution's output, which backward needs
    assert point["weight_bytes"] == 4 * (3 * 3 * 3 * 32 + 2 * 32 + 32 * 10 + 10)
    with pytest.raises(Failed, match="nothing is not one of batch, size, channels, depth"):
        CliRunner().invoke(app, ["growth", "nothing"], catch_exceptions=False)
