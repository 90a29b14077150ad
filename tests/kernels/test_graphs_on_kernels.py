"""Training steps as CUDA graphs, on CuPy's stand-in: the bits of steps that are launched operation by operation."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in, streams

import gpucnn
from gpucnn import config
from gpucnn.backend import Device
from gpucnn.errors import NonFiniteError
from gpucnn.layers.activation import Tanh
from gpucnn.layers.dense import Dense
from gpucnn.random import Step
from gpucnn.training import queued, scaling
from gpucnn.training.checkpoint import Checkpoint
from gpucnn.training.gradients import Gradients
from gpucnn.training.graph import CapturedStep, why_eager
from gpucnn.training.observer import Observer
from gpucnn.training.parts import build_model
from gpucnn.training.signals import Interrupted, Interrupts

CONFIG: dict[str, Any] = {
    "name": "graphs",
    "data": {
        "dataset": {"synthetic": {"size": 3, "channels": 1, "classes": 3, "train": 20, "test": 2}},
        "batch_size": 2,
        "augment": [{"horizontal_flip": {"alternating": True}}, {"random_crop": {"padding": 1}}],
        "validation": 7,
    },
    "model": [
        {"conv2d": {"out_channels": 2, "padding": "same", "bias": False}},
        "batch_norm",
        {"concat": {"branches": [["tanh"], []]}},
        {"dropout": 0.3},
        "flatten",
        {"dense": 3},
    ],
    "loss": {"cross_entropy": {"class_weights": [1, 2, 3]}},
    "optimizer": {"adamw": {"lr": 0.01, "weight_decay": 0.1, "norm_bias_lr": 4.0}},
    "schedule": {"cosine": {"warmup": 3}},
    "training": {"epochs": 2, "checkpoint_every": {"steps": 4}},
}
"""Two epochs of six whole batches and one of one image, and a checkpoint after every fourth step."""


class Told(Observer):
    """What a run tells."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.steps: list[dict[str, Any]] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def step(self, metrics: Any) -> None:
        self.steps.append({key: value for key, value in metrics.items() if "second" not in key})


@pytest.fixture
def launches(modules: Any, nothing_drawn: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """CuPy's stand-in, with the kernels' CPU build behind it; how many operations each graph that was launched had."""
    cupy_stand_in.install(monkeypatch, lambda kernel, dtype: modules[dtype].get_function(kernel.name))
    monkeypatch.chdir(tmp_path)
    launched: list[int] = []
    launch = streams.Graph.launch
    monkeypatch.setattr(streams.Graph, "launch", lambda self, *a: launched.append(len(self.works)) or launch(self, *a))
    return launched


@pytest.fixture(scope="module")
def eager(modules: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is left of a run without graphs."""
    with pytest.MonkeyPatch.context() as patch:
        cupy_stand_in.install(patch, lambda kernel, dtype: modules[dtype].get_function(kernel.name))
        patch.chdir(tmp_path_factory.mktemp("eager"))
        found, _ = trained("eager", graph="off")
    return found


def trained(path: str, resume: bool = False, **changes: Any) -> tuple[dict[str, Any], list[str]]:
    """Train to the end or to what stops it; return what is left of that, but times, and what was told."""
    told, error = Told(), ""
    try:
        gpucnn.train(CONFIG | changes, run_dir=path, device="cuda", resume=resume, observer=told)
    except (NonFiniteError, Interrupted) as stopped:
        error = str(stopped)
    read = Checkpoint.read(max(Path(path).glob("checkpoints/step-*")))
    rows = [json.loads(line) for line in (Path(path) / "metrics.jsonl").read_text().splitlines()]
    found = {
        "weights": dict(read.weights),
        "optimizer": dict(read.optimizer),
        "scaling": dict(read.scaling),
        "progress": {key: value for key, value in vars(read.progress).items() if "second" not in key},
        "rows": [{key: value for key, value in row.items() if "second" not in key} for row in rows],
        "steps": told.steps,
        "error": error.replace(path, ""),
    }
    return found, told.messages


@pytest.mark.parametrize("on_device", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_a_run_by_graphs_has_the_bits_of_one_without(launches, eager, on_device):
    found, messages = trained("auto", data=CONFIG["data"] | {"on_device": on_device})
    np.testing.assert_equal(found, eager)
    assert len(launches) == 2 * 6 - 2  # of 14 steps two warmed up, and two are of a smaller batch
    assert not messages


def test_short_steps_are_many_in_a_graph(launches, eager, monkeypatch):
    """None of them goes beyond a checkpoint: epochs of 6 whole batches, and checkpoints after steps 4, 8 and 12."""
    for name, value in {"SHORT": np.inf, "UNROLLED": 2, "PAGE_SECONDS": 1e9}.items():
        monkeypatch.setattr(queued, name, value)
    found, _ = trained("auto")
    np.testing.assert_equal(found, eager)
    single, several = sorted(set(launches))
    assert several == 2 * single
    assert launches == [several, several, single, several, several, single]  # 2 + 2 | 1 + 4 | 1


def test_a_run_that_is_stopped_and_resumed(launches, eager, monkeypatch):
    """Pages end where a signal is seen: what is saved is what the device has computed, and no step is lost."""
    came: list[int] = []
    monkeypatch.setattr(Interrupts, "pending", property(lambda self: came))
    monkeypatch.setattr(Interrupts, "check", lambda self: stop() if came else None)
    monkeypatch.setattr(Told, "step", lambda self, metrics: came.append(1) if metrics["step"] == 5 else None)
    found, _ = trained("parts")
    assert 5 <= found["progress"]["step"] <= 7
    assert f"after step {found['progress']['step']};" in found["error"]
    came.clear()
    monkeypatch.setattr(Told, "step", Observer.step)
    found, _ = trained("parts", resume=True)
    for key in ("weights", "optimizer", "progress", "rows"):
        np.testing.assert_equal(found[key], eager[key])


def stop() -> None:
    raise Interrupted(signal.SIGINT)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(1, 12))])
def test_a_step_that_is_not_finite_is_found_and_undone(launches, seed):
    """Wherever in an epoch it comes, and whatever is queued behind it."""
    images, labels = np.random.default_rng(0).random((12, 3, 3, 1), np.float32), np.arange(12) % 3
    images[7, 1, 2, 0] = 3e38  # a variance that no float32 holds
    np.savez("data.npz", x_train=images, y_train=labels, x_test=images[:2], y_test=labels[:2])
    data = {"dataset": {"npz": {"path": str(Path("data.npz").absolute())}}, "batch_size": 2, "normalize": "none"}
    training = {"epochs": 1}
    (expected, _), (found, messages) = (
        trained(graph, graph=graph, data=data, seed=seed, training=training) for graph in ("off", "auto")
    )
    assert "is not finite in step" in expected["error"] or "the loss is nan in step" in expected["error"]
    np.testing.assert_equal(found, expected)
    assert not messages


def test_what_keeps_a_step_from_being_recorded_is_told_and_training_goes_on(launches, eager, monkeypatch):
    forward = Tanh.forward
    monkeypatch.setattr(Tanh, "forward", lambda self, x, **more: (float(x.sum()), forward(self, x, **more))[1])
    found, messages = trained("auto")
    assert messages == [f"no CUDA graph: layer 2.concat.branches.0.0.tanh: RuntimeError: {streams.REFUSED}"]
    np.testing.assert_equal(found, eager)
    assert not launches


def test_a_batch_in_parts(launches, monkeypatch):
    """Of four images, two and two; what fits is found before a step is recorded.

    Their shares of the loss depend on the labels, which only the device knows. Of three batches, two warm up.
    """
    forward = Dense.forward

    def limited(self: Dense, x: Any, *, train: Any = None) -> Any:
        if len(x) > 2:
            raise MemoryError(f"no room for {len(x)} images")
        return forward(self, x, train=train)

    changes = {"data": CONFIG["data"] | {"batch_size": 4, "validation": 8}, "schedule": "constant"}
    training = {"epochs": 1, "micro_batch": 2}
    assert why_eager(config.load(CONFIG | changes | {"training": training}), Device.named("cuda")) == ""
    expected, _ = trained("off", graph="off", training=training, **changes)
    monkeypatch.setattr(Dense, "forward", limited)
    found, messages = trained("auto", training=training | {"micro_batch": "auto"}, **changes)
    np.testing.assert_equal(found, expected)
    assert len(launches) == 1
    assert len(messages) == 1
    assert "no room for 4 images; going on with parts of 2 images" in messages[0]


def test_settings_that_keep_steps_from_being_recorded_are_told(launches):
    changes, why = {"impl": "reference"}, "impl is reference: what it calls cannot be recorded"
    assert why_eager(config.load(CONFIG | changes), Device.named("cuda")) == why
    assert why_eager(config.load(CONFIG | changes | {"graph": "off"}), Device.named("cuda")) == ""
    assert why_eager(config.load(CONFIG | changes), Device("cpu")) == ""


def test_one_step_captured_for_a_benchmark(launches):
    """Two steps to warm up, and two replays of a graph of two, are six steps, of which dropout knows the numbers."""
    experiment, device = config.load(CONFIG | {"data": CONFIG["data"] | {"augment": []}}), Device.named("cuda")
    x, labels = device.asarray(np.random.default_rng(0).random((2, 3, 3, 1), np.float32)), device.asarray([0, 2])
    captured = CapturedStep(experiment, x, labels, device, steps=2)
    captured()
    captured()
    assert len(launches) == 2
    model, optimizer = build_model(experiment, (3, 3, 1), device), experiment.optimizer.build()
    optimizer.build(model.params)
    gradients = Gradients(model, experiment.loss.build(), None, print)
    losses = []
    for i in range(6):
        losses.append(gradients.compute(x, labels, Step(0, i))[0])
        optimizer.update(model.params, lr=optimizer.lr, step=0)
    np.testing.assert_equal(captured.model.arrays(), model.arrays())
    np.testing.assert_array_equal(captured.losses()[:6], losses)


@pytest.mark.parametrize(
    ("precision", "start"), [("fp16", 2.0**40), ("fp16", 0.5), pytest.param("bf16", 1.0, marks=pytest.mark.exhaustive)]
)
def test_halves_too(launches, monkeypatch, precision, start):
    """In fp16 the scale of the loss starts too large, so that steps are skipped, and grows; or it is lost, and told."""
    monkeypatch.setattr(scaling, "START", start)
    monkeypatch.setattr(scaling, "GROWTH", 2)
    changes = {"precision": precision, "training": {"epochs": 1}}
    (expected, _), (found, messages) = (trained(graph, graph=graph, **changes) for graph in ("off", "auto"))
    np.testing.assert_equal(found, expected)
    assert not any("CUDA graph" in message for message in messages)
    if start < 1:
        assert "gradients are not finite in step 1" in found["error"]
    else:
        assert launches
        assert precision == "bf16" or found["scaling"]["counts"][1] > 0
