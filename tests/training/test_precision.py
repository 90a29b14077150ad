"""Training in half precisions: as good as in float32, in half the memory, exactly resumed; and its loss scaled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpucnn
from gpucnn.backend import Device
from gpucnn.cli import main
from gpucnn.config import load
from gpucnn.config.report import kept, report
from gpucnn.errors import CheckpointError, NonFiniteError, RunError
from gpucnn.halves import named
from gpucnn.training import scaling
from gpucnn.training.checkpoint import Checkpoint
from gpucnn.training.observer import Observer
from gpucnn.training.parity import Side, parity
from gpucnn.training.parts import build_model
from gpucnn.training.run_folder import by_step
from gpucnn.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("no_plots")

HALVES = {"bf16": "bfloat16", "fp16": "float16"}
halves = pytest.mark.parametrize("precision", HALVES)
CPU = Device("cpu")

DIGITS: dict[str, Any] = {
    "name": "digits",
    "device": "cpu",
    "data": {"dataset": "digits", "batch_size": 32},
    "model": [
        *({"conv2d": {"out_channels": 8, "padding": "same", "bias": False}}, "batch_norm", "relu", {"max_pool2d": 2}),
        *("flatten", {"dense": 10}),
    ],
    "training": {"epochs": 1},
}


class Told(Observer):
    """What a run tells; it breaks off, as if the machine had stopped, after the step `last`."""

    def __init__(self, last: int = -1) -> None:
        self.last = last
        self.messages: list[str] = []
        self.rows: list[Any] = []
        self.precision = ""

    def started(self, info: Any) -> None:
        self.precision = info["precision"]

    def message(self, text: str) -> None:
        self.messages.append(text)

    def epoch_finished(self, row: Any) -> None:
        self.rows.append(row)

    def step(self, metrics: Any) -> None:
        if metrics["step"] == self.last:
            raise ConnectionError


def trainer(config: dict[str, Any], precision: str = "fp16") -> Trainer:
    return Trainer(load(config, [f"precision={precision}"]), CPU)


def batch(made: Trainer) -> tuple[np.ndarray, np.ndarray]:
    return next(iter(made.batches.batches(0)))


def everything(made: Trainer) -> dict[str, np.ndarray]:
    """Return copies of the weights and of what the optimizer remembers."""
    values = {name: p.value for name, p in made.model.params.items()}
    return {name: array.copy() for name, array in (values | made.optimizer.state).items()}


def test_digits_are_learned_as_well(tmp_path: Path) -> None:
    """Ten of the 355 images that are tested with are what other roundings may cost or gain so early."""
    accuracy = {
        precision: gpucnn.train(
            DIGITS, run_dir=tmp_path / precision, overrides=[f"precision={precision}"], observer=Observer()
        ).results["accuracy"]
        for precision in ("float32", *HALVES)
    }
    assert accuracy["float32"] > 0.85
    assert min(accuracy.values()) > accuracy["float32"] - 0.03, accuracy


@halves
def test_a_step_changes_weights_and_their_copies(small: dict[str, Any], precision: str) -> None:
    made = trainer(small, precision)
    before, (x, labels) = everything(made), batch(made)
    assert x.dtype.name == HALVES[precision]
    made.step(x, labels, lr=0.1)
    for name, parameter in made.model.params.items():
        assert parameter.value.dtype == parameter.grad.dtype == np.float32
        assert not np.array_equal(parameter.value, before[name])
        if ".batch_norm." in name:
            assert parameter.half is None
        else:
            np.testing.assert_array_equal(parameter.half, parameter.value.astype(named(HALVES[precision])))


@halves
def test_steps_that_a_half_would_lose_add_up(small: dict[str, Any], precision: str) -> None:
    made = trainer(small, precision)
    parameter = made.model.params["6.dense.w"]
    parameter.value[...] = 1
    parameter.grad = np.ones_like(parameter.value)
    for step in range(100):
        made.optimizer.update({"6.dense.w": parameter}, lr=1e-5, step=step)
    assert parameter.value.max() < 1 - 50e-5
    assert parameter.half.max() < 1 or precision == "bf16"


@halves
def test_activations_take_half_the_memory(small: dict[str, Any], precision: str) -> None:
    """But for the norm's statistics, indices of maxima and dropout's choice, of which the last two are left out."""
    small["model"] = [layer for layer in small["model"] if layer == "flatten" or "max_pool2d" not in layer]
    sizes = {}
    for name in ("float32", precision):
        experiment = load(small, [f"precision={name}", "model[4]={dropout: 0}"])
        sizes[name] = kept(build_model(experiment, (8, 8, 1), CPU), 64)
    statistics = 2 * 4 * 4
    assert sizes[precision] - statistics == (sizes["float32"] - statistics) / 2


def test_the_report_counts_weights_and_their_copies(small: dict[str, Any]) -> None:
    full, half = (report(load(small, [f"precision={name}"])).memory for name in ("float32", "bf16"))
    weights = [p.value.size for p in trainer(small).model.params.values() if p.half is not None]
    assert half.weights - full.weights == 2 * sum(weights)
    assert (half.gradients, half.optimizer) == (full.gradients, full.optimizer)
    assert half.activations < 0.6 * full.activations


def bits(folder: Path) -> dict[str, tuple[str, bytes]]:
    checkpoint = Checkpoint.read(by_step(folder)[0])
    arrays = {**checkpoint.weights, **checkpoint.optimizer, **checkpoint.scaling}
    return {key: (str(array.dtype), array.tobytes()) for key, array in arrays.items()}


@pytest.mark.parametrize("precision", ["fp16", pytest.param("bf16", marks=pytest.mark.exhaustive)])
def test_stopped_and_resumed_equals_never_stopped(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr(scaling, "START", 2.0**40)  # so that steps are skipped on both sides of a stop
    monkeypatch.setattr(scaling, "GROWTH", 2)
    small |= {"precision": precision, "training": {"epochs": 2, "checkpoint_every": {"steps": 1}}}
    gpucnn.train(small, run_dir=tmp_path / "whole", observer=Observer())
    for last in (3, 8):
        with pytest.raises(ConnectionError):
            gpucnn.train(small, run_dir=tmp_path / "parts", resume=last > 3, observer=Told(last))
    gpucnn.train(small, run_dir=tmp_path / "parts", resume=True, observer=Observer())
    found = bits(tmp_path / "parts")
    assert found == bits(tmp_path / "whole")
    assert {"scale", "counts"} <= found.keys() or precision == "bf16"
    rows = [json.loads(line) for line in (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()]
    skipped = [row["skipped_steps"] for row in rows if row["kind"] == "epoch"]
    assert (skipped[0] > 3 and skipped[-1] > skipped[0]) if precision == "fp16" else skipped == [None] * 2


def test_another_precision_is_another_run(small: dict[str, Any], tmp_path: Path) -> None:
    small["training"] = {"epochs": 1}
    gpucnn.train(small, run_dir=tmp_path, observer=Observer())
    with pytest.raises(RunError, match="precision: 'float32' in the run, 'bf16' now"):
        gpucnn.train(small, run_dir=tmp_path, resume=True, overrides=["precision=bf16"])


def test_weights_of_any_precision_load_in_any(small: dict[str, Any], tmp_path: Path) -> None:
    run = gpucnn.train(small, run_dir=tmp_path, overrides=["precision=bf16", "training.epochs=1"], observer=Observer())
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    probabilities = run.predict(images)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert run.evaluate().images == 40
    assert {array.dtype.name for array in run.checkpoint.weights.values()} == {"float32"}
    for other in ("float64", "fp16"):
        model = build_model(load(small, [f"precision={other}"]), (8, 8, 1), CPU)
        model.load(run.checkpoint.weights)
        for parameter in model.params.values():
            if parameter.half is not None:
                np.testing.assert_array_equal(parameter.half, parameter.value.astype(np.float16))


def test_a_step_that_overflows_is_skipped(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "START", 2.0**40)
    made = trainer(small)
    before, (x, labels) = everything(made), batch(made)
    with np.errstate(over="ignore", invalid="ignore"):
        for count in range(1, 40):
            made.step(x, labels, lr=0.1)
            made.progress.step += 1
            if made.scaling.counts[0]:
                break
            np.testing.assert_equal(everything(made), before)
            assert made.scaling.scale[0] == 2.0 ** (40 - count)
            assert made.scaling.skipped == count
    assert 10 < count < 40  # the first scale with which every gradient is finite
    assert any(not np.array_equal(array, before[name]) for name, array in everything(made).items())
    assert made.scaling.news() == f"{made.scaling} so far: a gradient was larger than float16 can hold"
    assert made.scaling.news() == ""


def test_a_gradient_is_that_without_a_scale(small: dict[str, Any]) -> None:
    """But for what float16 holds more of: both are near float32's."""
    expected = trainer(small, "float32")
    expected.step(*batch(expected), lr=0.1)
    made = trainer(small)
    made.step(*batch(made), lr=0.1)
    for name, parameter in made.model.params.items():
        if name == "0.conv2d.b":  # before a norm: all rounding
            continue
        grad = expected.model.params[name].grad
        error = np.linalg.norm(parameter.grad / scaling.START - grad) / np.linalg.norm(grad)
        assert error < 0.2, name  # a relu or a maximum may turn


def test_the_scale_grows_with_good_steps(small: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(scaling, "GROWTH", 2)
    told = Told()
    gpucnn.train(small, run_dir=tmp_path, overrides=["precision=fp16", "training.epochs=1"], observer=told)
    assert told.precision == "fp16, weights in float32, loss scale 65536"
    row = told.rows[0]
    grown, skipped = np.log2(row["loss_scale"]) - 16, row["skipped_steps"]
    assert 1 <= grown <= 3 if not skipped else told.messages, (row, told.messages)


def test_gradients_that_no_scale_saves_end_the_run(small: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(scaling, "START", 0.5)
    message = r"not finite in step 1 \(epoch 1, batch 1\) even with a loss scale 0.5: .* precision to bf16"
    with pytest.raises(NonFiniteError, match=message):
        gpucnn.train(small, run_dir=tmp_path, overrides=["precision=fp16"], observer=Observer())


def test_the_state_of_another_precision_is_no_loss_scale() -> None:
    with pytest.raises(CheckpointError, match=r"loss scale \(scale, counts\) of a run in fp16, found \[\]"):
        scaling.LossScale(CPU).load({})


def test_tf32_is_float32_on_the_cpu(small: dict[str, Any], tmp_path: Path) -> None:
    weights, told = {}, Told()
    for precision in ("float32", "tf32"):
        settings = ["training.epochs=1", f"precision={precision}"]
        weights[precision] = gpucnn.train(
            small, run_dir=tmp_path / precision, overrides=settings, observer=told
        ).model.arrays()
    np.testing.assert_equal(weights["tf32"], weights["float32"])
    assert told.precision == "tf32, which is float32 on the CPU"


@halves
def test_other_implementations_agree(small: dict[str, Any], precision: str) -> None:
    experiment = load(small, [f"precision={precision}"])
    found = parity(Side(experiment, CPU, "auto"), Side(experiment, CPU, "reference"), steps=2)
    assert found.problems() == []
    assert found.dtype == HALVES[precision]
    assert {row.rooms for row in found.rows} != {"reference"}


@halves
def test_a_batch_in_parts(small: dict[str, Any], tmp_path: Path, precision: str) -> None:
    settings = [f"precision={precision}", "training.epochs=1", "training.micro_batch=5"]
    assert gpucnn.train(small, run_dir=tmp_path, overrides=settings, observer=Observer()).results["loss"] < 10


def test_commands_take_halves(small: dict[str, Any], tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(json.dumps(small))
    commands = {"check": "--device cpu", "parity": "--device cpu --steps 1"}
    for name, options in commands.items():
        assert main([name, str(path), "precision=fp16", *options.split()]) == 0, name
    assert "cpu (auto) against cpu (reference), float16" in capsys.readouterr().out
