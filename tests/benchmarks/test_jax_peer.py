"""The network that JAX is timed with is the same network: scores and updates agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.peers.base import Batch
from benchmarks.peers.gpucnn import Gpucnn
from gpucnn.config import load
from gpucnn.errors import ArgumentError

BLOCK = [{"conv2d": {"out_channels": 6, "stride": 2, "padding": 1, "bias": False}}, "batch_norm"]
SHORT = [{"conv2d": {"out_channels": 6, "kernel_size": 1, "stride": 2, "bias": False}}, "batch_norm"]
DEPTHWISE = {"conv2d": {"out_channels": 6, "padding": "same", "groups": 6, "dilation": 2}}
BODY = [
    {"residual": {"layers": BLOCK, "shortcut": SHORT}},
    "relu",
    {"sequential": {"repeat": 2, "layers": [DEPTHWISE]}},
]
HEAD = ["gelu", {"max_pool2d": {"kernel_size": 3, "stride": 2, "padding": 1}}]
ROWS = ["flatten", {"dense": 5}, "tanh", {"dense": 3}, {"scale": {"initial": 0.25, "learned": False}}]


@pytest.fixture
def jax(monkeypatch):
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


def experiment(model: list[Any], **settings: Any) -> Any:
    data = {"dataset": {"synthetic": {"size": [9, 8], "channels": 3, "classes": 3}}, "batch_size": 4}
    return load({"name": "small", "precision": "float64", "data": data, "model": model, **settings})


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("end", [ROWS, ["global_avg_pool2d", {"dense": 3}]], ids=["rows", "global"])
def test_scores_and_updates_agree(jax, end, nesterov):
    from benchmarks.peers.jax_step import Jax

    sgd = {"momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.5}
    settings = experiment(
        [*BODY, *HEAD, *end], optimizer={"sgd": sgd}, loss={"cross_entropy": {"label_smoothing": 0.1}}
    )
    batch = Batch.random(settings)
    ours = Gpucnn(settings, batch)
    theirs, before = Jax(settings, batch, ours.model), ours.model.arrays()
    np.testing.assert_allclose(theirs.scores(), ours.scores(), rtol=1e-10, atol=1e-12)
    for _ in range(3):
        ours.step()
        theirs.step()
    params, state, _ = theirs.arrays
    for name, array in ours.model.arrays().items():
        change = np.asarray((params | state)[name]) - before[name]
        assert np.abs(change).max() > 1e-9, name
        np.testing.assert_allclose(change, array - before[name], rtol=1e-6, atol=1e-14, err_msg=name)


def test_what_cannot_be_converted_is_named(jax):
    from benchmarks.peers.jax_step import Jax

    for model, settings, message in (
        (["elu", "flatten", {"dense": 3}], {}, "there is no elu"),
        (["scale", "flatten", {"dense": 3}], {}, "scale that is learned"),
        (["flatten", {"dense": 3}], {"loss": "mse"}, "no mse with sgd"),
    ):
        given = experiment(model, **settings)
        batch = Batch.random(given)
        with pytest.raises(ArgumentError, match=message):
            Jax(given, batch, Gpucnn(given, batch).model).scores()
