"""The textbook's network computes what ours does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.app import app
from benchmarks.machine import THREAD_VARIABLES
from benchmarks.peers.base import Batch
from benchmarks.peers.gpucnn import Gpucnn
from gpucnn.config import load
from gpucnn.errors import ArgumentError


@pytest.fixture(autouse=True)
def scipy():
    """What it computes with; where it is not installed, there is nothing to test."""
    return pytest.importorskip("scipy.signal")


LENET = [
    {"conv2d": {"out_channels": 3, "kernel_size": 5, "padding": "same"}},
    "relu",
    {"max_pool2d": 2},
    {"conv2d": {"out_channels": 4, "kernel_size": [3, 3]}},
    "relu",
    {"max_pool2d": 2},
    "flatten",
    {"dense": 6},
    "relu",
    {"dense": 4},
]


def contenders(model, precision="float64"):
    from benchmarks.peers.textbook import Textbook

    images = {"classes": 4, "size": [12, 8], "channels": 2, "train": 8, "test": 4}
    data = {"dataset": {"synthetic": images}, "batch_size": 3}
    plain = {"name": "small", "precision": precision, "data": data, "model": model, "optimizer": {"sgd": {"lr": 1.0}}}
    experiment = load(plain)
    batch = Batch.random(experiment)
    ours = Gpucnn(experiment, batch)
    return ours, Textbook(ours.model, batch)


def test_scores_gradients_and_updates_are_ours():
    ours, theirs = contenders(LENET)
    np.testing.assert_allclose(theirs.scores(), ours.scores(), rtol=1e-12, atol=1e-13)
    ours.step(), theirs.step()
    found, expected = theirs.gradients(), {name: p.grad for name, p in ours.model.params.items()}
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert np.abs(gradient).max() > 0
        np.testing.assert_allclose(found[name], gradient, rtol=1e-11, atol=1e-13, err_msg=name)
    np.testing.assert_allclose(theirs.scores(), ours.scores(), rtol=1e-12, atol=1e-13)


def test_float32_stays_float32():
    _, theirs = contenders(LENET, "float32")
    theirs.step()
    assert {gradient.dtype for gradient in theirs.gradients().values()} == {np.dtype(np.float32)}
    assert theirs.scores().dtype == np.float32


def test_what_it_does_not_know_is_refused():
    with pytest.raises(ArgumentError, match="there is no tanh in the textbook"):
        contenders(["tanh", "flatten", {"dense": 4}])


def test_the_command(tmp_path, monkeypatch):
    for name in THREAD_VARIABLES:  # which the command sets
        monkeypatch.setenv(name, "1")
    file = tmp_path / "textbook.json"
    arguments = ["textbook", "--batch", "1", "--rounds", "1", "--threads", "1", "--output", str(file)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert found["ratio"] == pytest.approx(
        found["seconds"]["textbook NumPy"][0] / found["seconds"]["gpucnn"][0], rel=1e-3
    )
    assert result.stdout.splitlines()[1].split()[0] == "1"
