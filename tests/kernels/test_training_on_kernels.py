"""Whole training steps on `device: cuda` without a GPU: trainer, layers, dispatcher, host code and kernels together.

CuPy's stand-in is strict about host and device arrays; the kernels run on the CPU, under the race checker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in

import gpucnn
from gpucnn.backend import Device, to_numpy
from gpucnn.dispatch import recorded
from gpucnn.errors import ArgumentError
from gpucnn.random import Step
from gpucnn.training.observer import Observer
from gpucnn.training.parts import build_model

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


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
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


def test_host_and_device_arrays_do_not_mix(cuda):
    from gpucnn import config

    model = build_model(config.load(CONFIG), (6, 6, 2), Device.named("cuda"))
    with pytest.raises(ArgumentError, match=r"different modules \(x numpy, w cupy\)"):
        model.forward(np.zeros((2, 6, 6, 2)))
    scores, _ = model.forward(cuda.zeros((2, 6, 6, 2)), train=Step(0, 0))
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(scores)
    assert to_numpy(scores).shape == (2, 3)
