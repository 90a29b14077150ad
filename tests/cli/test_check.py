from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in

from gpucnn.backend import Device
from gpucnn.cli import main
from gpucnn.cli.check import _bytes, _large, check
from gpucnn.cli.tables import labels
from gpucnn.config import load
from gpucnn.config.report import _kept, kept, report
from gpucnn.errors import ConfigError
from gpucnn.model import Model

CONFIG = """\
name: small
data: {dataset: {synthetic: {size: 8, train: 100, test: 30}}, batch_size: 16, validation: 20}
model:
  - conv2d: {out_channels: 4, padding: same}
  - relu
  - residual:
      - conv2d: {out_channels: 4, padding: same}
      - batch_norm
  - max_pool2d: 2
  - flatten
  - dense: 10
training: {epochs: 3}
"""
PARAMETERS = [40, 0, 148, 8, 0, 0, 650]  # 4 (3x3 + 1); 4 (3x3x4 + 1); 2x4; 10 (64 + 1)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: Any, **options: Any) -> str:
    check(*arguments, **options)
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_the_table_shows_every_layer_and_the_totals(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, str(config)).splitlines()
    table = [line.split() for line in lines if line.strip().startswith(("model[", "layers["))]
    assert [row[:2] for row in table] == [
        ["model[0].conv2d", "8x8x4"],
        ["model[1].relu", "8x8x4"],
        ["model[2].residual", "8x8x4"],
        ["layers[0].conv2d", "8x8x4"],
        ["layers[1].batch_norm", "8x8x4"],
        ["model[3].max_pool2d", "4x4x4"],
        ["model[4].flatten", "64"],
        ["model[5].dense", "10"],
    ]
    assert [int(row[2]) for row in table if "residual" not in row[0]] == PARAMETERS
    (total,) = [line.split() for line in lines if line.startswith("total")]
    assert total[1] == f"{sum(PARAMETERS)}"
    assert next(line for line in lines if "layers[0]" in line).startswith("  layers")


def test_data_steps_and_memory_are_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, str(config))
    assert "data: synthetic, 8x8x1, 10 classes; images: 80 to train on, 20 to validate with, 30 to test with" in text
    assert "training: 3 epochs of 5 steps, 15 in all" in text
    assert "memory at batch size 16, float32: weights 3.3 KiB + gradients 3.3 KiB + sgd 3.3 KiB + activations" in text
    assert "note" not in text


def test_overrides_are_applied_and_checked(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["data.batch_size=40", "optimizer=adam", "precision=float64"]
    text = printed(capsys, str(config), overrides)
    assert "3 epochs of 2 steps" in text
    assert "memory at batch size 40, float64: weights 6.7 KiB + gradients 6.6 KiB + adam 13.2 KiB" in text
    with pytest.raises(ConfigError, match="override 'seed=x': seed: must be a whole number"):
        check(str(config), ["seed=x"])


def test_json_holds_everything(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, str(config), as_json=True))
    assert (found["parameters"], found["steps"], found["steps_per_epoch"]) == (sum(PARAMETERS), 15, 5)
    assert found["images"] == {
        "shape": [8, 8, 1],
        "classes": [str(i) for i in range(10)],
        "train": 80,
        "validation": 20,
        "test": 30,
        "missing": None,
    }
    assert found["layers"][0]["path"] == "0.conv2d"
    assert found["memory"]["total"] == sum(value for key, value in found["memory"].items() if key != "total")
    assert load(found["experiment"]) == load(config)
    assert found["notes"] == []


def test_missing_files_are_a_note_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GPUCNN_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "mnist.yaml"
    path.write_text("name: a\ndata: {dataset: mnist, validation: 5000}\nmodel: [flatten, {dense: 10}]\n")
    text = printed(capsys, str(path))
    assert "mnist, 28x28x1, 10 classes; images: 55,000 to train on, 5,000 to validate with, 10,000 to test with" in text
    assert "note: the data cannot be read yet: " in text
    assert "7,850" in text


def test_settings_that_are_hardly_meant_are_noted(config: Path) -> None:
    stopping = report(load(config, ["training.early_stopping.patience=3"])).notes
    assert stopping == ["training.early_stopping never stops: patience (=3) is not below epochs (=3)"]
    (rare,) = report(load(config, ["training.checkpoint_every=4"])).notes
    assert rare.startswith("training.checkpoint_every (=4) is beyond the 3 epochs of the run")
    (rare,) = report(load(config, ["training.checkpoint_every.steps=16"])).notes
    assert rare.startswith("training.checkpoint_every (=16) is beyond the 15 steps of the run")
    assert report(load(config, ["training.checkpoint_every.steps=15", "training.keep_every=3"])).notes == []
    (none,) = report(load(config, ["training.keep_every=4"])).notes
    assert none == "training.keep_every (=4) is beyond the 3 epochs of the run: it keeps none"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_activations_of_any_batch_are_those_measured(config: Path, dtype: Any) -> None:
    model = Model([spec.build() for spec in load(config).model], (8, 8, 1), dtype=dtype, device=Device("cpu"))
    assert kept(model, 7) == _kept(model, 7)
    least = np.dtype(dtype).itemsize * (8 * 8 * 1 + 2 * 8 * 8 * 4 + 64)  # the inputs of both convolutions and of dense
    assert kept(model, 7) >= 7 * least
    assert kept(model, 1000) - kept(model, 999) == kept(model, 2) - kept(model, 1)


def test_labels_follow_the_nesting() -> None:
    paths = ["0.concat", "0.concat.branches.0.0.relu", "0.concat.branches.1.0.residual"]
    paths += ["0.concat.branches.1.0.residual.layers.0.tanh", "10.relu"]
    assert labels(paths) == [
        "model[0].concat",
        "  branches[0][0].relu",
        "  branches[1][0].residual",
        "    layers[0].tanh",
        "model[10].relu",
    ]


def test_large_numbers_are_short() -> None:
    assert [_large(n) for n in (0, 999, 1000, 12_345, 999_499, 1_500_000, 2 * 10**9, 3 * 10**13)] == [
        "0", "999", "1 k", "12.3 k", "999 k", "1.5 M", "2 G", "30 T",
    ]  # fmt: skip
    assert [_bytes(n) for n in (0, 1536, 2**20, 3 * 2**29)] == ["0.0 KiB", "1.5 KiB", "1.0 MiB", "1.5 GiB"]


def test_what_computes_each_operation_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config), "--device", "cpu", "precision=float64"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("dense ")]
    assert line.split(maxsplit=3)[1:] == ["1", "reference", "float32 only, not float64"]
    assert main(["check", str(config), "--device", "cpu", "impl=reference", "--json"]) == 0
    choices = json.loads(capsys.readouterr().out)["implementations"]
    assert {choice["implementation"] for choice in choices} == {"reference"}
    assert {"conv2d_backward_weight", "cross_entropy", "sgd_update"} <= {choice["operation"] for choice in choices}


def test_a_device_that_is_not_there_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config), "--device", "gpu"]) == 2
    assert "device (='gpu') must be auto, cpu, cuda or cuda:N" in capsys.readouterr().err


def test_what_keeps_steps_from_being_graphs_is_told(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cupy_stand_in.install(monkeypatch)
    command, why = ["check", str(config), "--device", "cuda", "impl=reference"], "impl is reference: what it calls"
    assert main(command) == 0
    assert f"\nno CUDA graph: {why} cannot be recorded\n" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["no_graph"] == f"{why} cannot be recorded"
    assert main([*command, "graph=off"]) == 0
    assert "graph" not in capsys.readouterr().out
    assert main([*command, "graph=off", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["no_graph"] is None
