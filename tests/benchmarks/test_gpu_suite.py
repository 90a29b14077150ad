"""What the benchmark of a GPU computes, and the least time that it takes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from benchmarks.app import app
from benchmarks.gpu import networks
from benchmarks.gpu.suite import SUITE, Shape
from gpucnn.layers.base import Layer


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
