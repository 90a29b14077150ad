"""Whole training steps on `device: cuda` without a GPU: trainer, layers, dispatcher, host code and kernels together.

CuPy's stand-in is strict about host and device arrays; the kernels run on the CPU, under the race checker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in

import gpucnn
from gpucnn import config
from gpucnn.augment.horizontal_flip import HorizontalFlip
from gpucnn.backend import Device, to_numpy
from gpucnn.config.implementations import Choice, implementations
from gpucnn.dispatch import recorded
from gpucnn.errors import ArgumentError, OutOfMemory
from gpucnn.random import Step
from gpucnn.training import scaling
from gpucnn.training.observer import Observer
from gpucnn.training.parity import Side, parity
from gpucnn.training.parts import build_model

pytestmark = pytest.mark.usefixtures("nothing_drawn")

CONFIG: dict[str, Any] = {
    "name": "kernels",
    "precision": "float64",
    "data": {
        "dataset": {"synthetic": {"size": 6, "channels": 2, "classes": 3, "train": 10, "test": 4}},
        "batch_size": 5,
        "augment": ["horizontal_flip", {"random_crop": {"padding": 1}}],
    },
    "model": [
        {"conv2d": {"out_channels": 4, "padding": "same", "bias": False}},
        "batch_norm",
        "relu",
        {"max_pool2d": {"kernel_size": 3, "stride": 2, "padding": 1}},
        {
            "residual": {
                "layers": [{"conv2d": {"out_channels": 6, "stride": 2, "padding": 1}}, "gelu"],
                "shortcut": [{"conv2d": {"out_channels": 6, "kernel_size": 1, "stride": 2}}],
            }
        },
        {"conv2d": {"out_channels": 6, "kernel_size": 3, "padding": 1, "groups": 6}},
        {"concat": {"branches": [["tanh"], [{"avg_pool2d": {"kernel_size": 3, "stride": 1, "padding": 1}}]]}},
        {"dropout": 0.2},
        "flatten",
        {"dense": 3},
    ],
    "loss": {"cross_entropy": {"label_smoothing": 0.1}},
    "optimizer": {"sgd": {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}},
    "training": {"epochs": 1},
}


@pytest.fixture
def cuda(modules: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """CuPy's stand-in, with the kernels' CPU build behind it."""
    return cupy_stand_in.install(monkeypatch, lambda kernel, dtype: modules[dtype].get_function(kernel.name))


@pytest.fixture
def folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(device: str, **changes: Any) -> tuple[gpucnn.Run, dict[str, np.ndarray]]:
    run = gpucnn.train(CONFIG | changes, device=device, observer=Observer())
    return run, run.model.arrays()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "adagrad"])
def test_training_on_kernels_is_training_on_numpy(cuda, folder, optimizer):
    """In float64 the two differ by roundings, which a few steps do not make large."""
    changes = {} if optimizer == "sgd" else {"optimizer": {optimizer: {"lr": 0.01, "weight_decay": 0.1}}}
    with recorded() as decisions:
        run, weights = trained("cuda", **changes)
    ran = {(d.operation, d.implementation) for d in decisions}
    assert {implementation for _, implementation in ran} == {"gpucnn.cuda"}, sorted(ran)
    expected_run, expected = trained("cpu", **changes)
    for name, value in expected.items():
        np.testing.assert_allclose(weights[name], value, rtol=1e-9, atol=1e-11, err_msg=name)
    assert run.results["loss"] == pytest.approx(expected_run.results["loss"], rel=1e-9)


def test_float32_too(cuda, folder):
    _, weights = trained("cuda", precision="float32")
    _, expected = trained("cpu", precision="float32")
    for name, value in expected.items():
        np.testing.assert_allclose(weights[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("precision", ["bf16", pytest.param("fp16", marks=pytest.mark.exhaustive)])
def test_halves_too(cuda, folder, precision):
    """Layer by layer within the rounding of halves, the losses of two steps, and a run from beginning to end."""
    experiment = config.load(CONFIG | {"precision": precision})
    found = parity(Side(experiment, Device.named("cuda"), "fast"), Side(experiment, Device("cpu"), "reference"), 2)
    assert found.problems() == []
    with recorded() as decisions:
        run, weights = trained("cuda", precision=precision)
    ran = {(d.operation, d.implementation) for d in decisions}
    assert {implementation for _, implementation in ran} == {"gpucnn.cuda"}, sorted(ran)
    assert ("adapt_loss_scale", "gpucnn.cuda") in ran or precision == "bf16"
    _, expected = trained("cpu", precision=precision)
    unit = {"bf16": 2**-8, "fp16": 2**-11}[precision]
    for name, value in expected.items():
        assert weights[name].dtype == np.float32
        np.testing.assert_allclose(weights[name], value, rtol=8 * unit, atol=8 * unit, err_msg=name)
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 2)).astype(np.uint8)
    np.testing.assert_allclose(run.predict(images).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.exhaustive  # test_graphs_on_kernels has a shorter one
def test_a_step_that_overflows_is_skipped_on_the_device(cuda, folder, monkeypatch):
    """And is found to be on both sides: the first scales are too large for the gradients of four steps."""
    monkeypatch.setattr(scaling, "START", 2.0**60)
    rows = {}
    for device in ("cuda", "cpu"):
        told = Told()
        run = gpucnn.train(CONFIG | {"precision": "fp16"}, device=device, observer=told)
        rows[device] = {key: told.rows[0][key] for key in ("loss_scale", "skipped_steps")}
        before = build_model(config.load(CONFIG | {"precision": "fp16"}), (6, 6, 2), Device("cpu")).params
        for name, parameter in before.items():
            np.testing.assert_array_equal(run.checkpoint.weights[name], parameter.value)
    assert rows["cuda"] == rows["cpu"] == {"loss_scale": 2.0**58, "skipped_steps": 2}


def test_two_runs_are_equal_to_the_bit(cuda, folder):
    (_, first), (_, second) = trained("cuda"), trained("cuda")
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


def test_the_reference_runs_on_device_arrays_and_agrees(cuda, folder):
    with recorded() as decisions:
        _, weights = trained("cuda", impl="reference")
    assert {d.implementation for d in decisions} == {"reference"}
    _, expected = trained("cpu")
    for name, value in expected.items():
        np.testing.assert_allclose(weights[name], value, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_crosses_devices(cuda, folder, first, then):
    """Begun on one device, gone on with on the other, and evaluated on both."""
    longer = CONFIG | {"training": {"epochs": 2}}
    gpucnn.train(CONFIG, run_dir="run", device=first, observer=Observer())
    gpucnn.train(longer, run_dir="run", device=then, resume=True, observer=Observer())
    whole = gpucnn.train(longer, run_dir="whole", device="cpu", observer=Observer())
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 2)).astype(np.uint8)
    expected = whole.predict(images)
    for device in ("cpu", "cuda"):
        found = gpucnn.load("run", device=device).predict(images)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


AUGMENT = ["horizontal_flip", {"random_crop": {"padding": 2, "mode": "reflect"}}, {"cutout": {"size": 3, "fill": 99}}]


def with_data(**changes: Any) -> dict[str, Any]:
    return {"data": CONFIG["data"] | {"augment": AUGMENT, "validation": 2} | changes}


class Told(Observer):
    """What a run tells; it breaks off, as if the machine had stopped, after the step `last`."""

    def __init__(self, last: int = -1) -> None:
        self.last = last
        self.messages: list[str] = []
        self.rows: list[Any] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def epoch_finished(self, row: Any) -> None:
        self.rows.append({key: value for key, value in row.items() if "second" not in key})

    def step(self, metrics: Any) -> None:
        if metrics["step"] == self.last:
            raise ConnectionError


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_images_on_the_device_are_those_of_the_host_to_the_bit(cuda, folder, precision):
    """Training and validation, with one launch a batch that gathers it."""
    found = {}
    for on_device in (True, False):
        told = Told()
        settings = CONFIG | with_data(on_device=on_device) | {"precision": precision}
        with recorded() as decisions:
            run = gpucnn.train(settings, device="cuda", observer=told)
        gathered = [d.implementation for d in decisions if d.operation == "gather"]
        assert gathered == (["gpucnn.cuda"] * 3 if on_device else [])  # 8 images to train on, 2 to validate with
        assert not told.messages
        found[on_device] = run.model.arrays() | {"rows": told.rows}
    np.testing.assert_equal(found[True], found[False])


def test_images_on_the_device_and_resumed_anywhere(cuda, folder):
    """A run that breaks off after every step ends with the bits of one that never stopped."""
    steps = {"epochs": 2, "checkpoint_every": {"steps": 1}}
    settings = CONFIG | with_data(on_device=True, batch_size=3) | {"training": steps}
    whole = gpucnn.train(settings, device="cuda", observer=Observer()).model.arrays()
    for last in range(1, 6):
        with pytest.raises(ConnectionError):
            gpucnn.train(settings, run_dir="parts", resume=last > 1, device="cuda", observer=Told(last))
    streamed = settings | with_data(on_device=False, batch_size=3)
    parts = gpucnn.train(streamed, run_dir="parts", resume=True, device="cuda", observer=Observer()).model.arrays()
    np.testing.assert_equal(parts, whole)


def test_an_augmentation_that_no_kernel_knows_is_prepared_on_the_host(cuda, folder, monkeypatch):
    expected = gpucnn.train(CONFIG | with_data(), device="cuda", observer=Observer()).model.arrays()
    monkeypatch.setattr(HorizontalFlip, "frames", lambda *given: None)
    told = Told()
    weights = gpucnn.train(CONFIG | with_data(), device="cuda", observer=told).model.arrays()
    np.testing.assert_equal(weights, expected)
    why = "horizontal_flip runs on the host only"
    assert told.messages == [f"images stay on the host, where batches are prepared: {why}"]
    with pytest.raises(ArgumentError, match=f"data.on_device is true, but {why}"):
        trained("cuda", **with_data(on_device=True))
    choices = implementations(config.load(CONFIG | with_data()), Device.named("cuda"))
    assert Choice("gather", "the host", why, 1) in choices


def test_what_gathers_batches_is_told(cuda):
    for on_device, choice in (
        ("auto", Choice("gather", "gpucnn.cuda", "", 1)),
        (False, Choice("gather", "the host", "data.on_device is false", 1)),
    ):
        choices = implementations(config.load(CONFIG | with_data(on_device=on_device)), Device.named("cuda"))
        assert [found for found in choices if found.operation == "gather"] == [choice]
    on_cpu = implementations(config.load(CONFIG | with_data()), Device("cpu"))
    assert "gather" not in [found.operation for found in on_cpu]


def test_images_that_do_not_fit_stay_on_the_host(cuda, folder, monkeypatch):
    monkeypatch.setattr(cupy_stand_in, "FREE", 10 * 6 * 6 * 2 - 1)
    told = Told()
    gpucnn.train(CONFIG | with_data(), device="cuda", observer=told)
    assert len(told.messages) == 1
    assert "they take 0.00 GiB, more than 25%" in told.messages[0]
    with pytest.raises(OutOfMemory, match=r"the images take 0.00 GiB, too much for cuda:0"):
        trained("cuda", **with_data(on_device=True))


def test_host_and_device_arrays_do_not_mix(cuda):
    model = build_model(config.load(CONFIG), (6, 6, 2), Device.named("cuda"))
    with pytest.raises(ArgumentError, match=r"different modules \(x numpy, w cupy\)"):
        model.forward(np.zeros((2, 6, 6, 2)))
    scores, _ = model.forward(cuda.zeros((2, 6, 6, 2)), train=Step(0, 0))
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(scores)
    assert to_numpy(scores).shape == (2, 3)
