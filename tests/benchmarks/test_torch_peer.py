"""The networks that gpucnn is timed against are the same networks: scores, gradients and updates agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpucnn.config import load
from gpucnn.errors import ArgumentError

pytestmark = pytest.mark.torch

GROUPED = {"conv2d": {"out_channels": 8, "padding": 1, "groups": 4}}
PLAIN = {"conv2d": {"out_channels": 6, "bias": False}}
IMAGES = [
    {"conv2d": {"out_channels": 8, "kernel_size": [5, 4], "padding": "same", "stride": 2}},
    "relu",
    {"max_pool2d": {"kernel_size": 3, "stride": 2, "padding": 1}},
    {"sequential": {"repeat": 2, "layers": [{"residual": [GROUPED]}]}},
    {"conv2d": {"out_channels": 8, "padding": [[2, 1], [0, 3]], "dilation": 2, "bias": False}},
    "batch_norm",
    "relu",
    {"residual": {"layers": ["relu", {"conv2d": {"out_channels": 6}}], "shortcut": [PLAIN, "batch_norm"]}},
]
POOLS = [
    {"avg_pool2d": {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}},
    {"avg_pool2d": {"kernel_size": 2, "stride": 1, "padding": "same"}},
    {"sum_pool2d": {"kernel_size": 2, "stride": 1, "padding": 1}},
    {"max_pool2d": {"kernel_size": 2, "stride": 1, "padding": "same"}},
]
ROWS = ["flatten", {"dropout": 0.0}, {"dense": 7}, "relu", "batch_norm", {"dense": 3}]
GLOBAL = ["global_avg_pool2d", {"dense": 3}]
SMOOTH = [{"conv2d": {"out_channels": 4, "kernel_size": 2}}, "gelu", {"max_pool2d": 2}, "silu", {"max_pool2d": 4}]
FIXED = [*SMOOTH, "flatten", {"dense": 5}, "tanh", {"dense": 3}, {"scale": {"initial": 0.1111, "learned": False}}]
NETWORKS = {"rows": [*IMAGES, *POOLS, *ROWS], "global": [*IMAGES, *GLOBAL], "fixed": FIXED}


def experiment(model: list[Any], optimizer: Any = "adamw", loss: Any = "cross_entropy") -> Any:
    synthetic = {"size": [17, 14], "channels": 3, "classes": 3}
    return load(
        {
            "name": "small",
            "precision": "float64",
            "data": {"dataset": {"synthetic": synthetic}, "batch_size": 4},
            "model": model,
            "optimizer": optimizer,
            "loss": loss,
        }
    )


def contenders(settings: Any, *, channels_last: bool) -> tuple[Any, Any]:
    from benchmarks.peers.base import Batch
    from benchmarks.peers.gpucnn import Gpucnn
    from benchmarks.peers.torch_step import Torch

    batch = Batch.random(settings)
    ours = Gpucnn(settings, batch)
    for name, array in ours.model.state.items():  # as after some training, so that they are seen to be taken over
        array += 0.1 * len(name)
    return ours, Torch(settings, batch, ours.model, channels_last=channels_last)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "model", [[*IMAGES, *POOLS, *ROWS], [*IMAGES, *GLOBAL], FIXED], ids=["rows", "global", "smooth"]
)
def test_scores_and_gradients_agree(torch, model, channels_last):
    """Those of a step, with the statistics of the batch; then scores with running statistics."""
    loss = {"cross_entropy": {"label_smoothing": 0.1, "class_weights": [1.0, 2.0, 3.0]}}
    ours, theirs = contenders(experiment(model, loss=loss), channels_last=channels_last)
    np.testing.assert_allclose(theirs.scores(), ours.scores(), rtol=1e-12, atol=1e-12)
    ours.step()
    theirs.step()
    assert theirs.weights.keys() == ours.model.params.keys()
    for name, weight in theirs.weights.items():
        grad = ours.model.params[name].grad
        np.testing.assert_allclose(weight.ours(weight.tensor.grad.numpy()), grad, rtol=1e-10, atol=1e-12, err_msg=name)
        assert np.abs(grad).max() > 1e-6, name
    np.testing.assert_allclose(theirs.scores(), ours.scores(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "optimizer",
    [
        {"sgd": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.5}},
        {"sgd": {"weight_decay": 0.5, "decay_all": True}},
        {"adam": {"beta1": 0.8, "weight_decay": 0.5}},
        {"adamw": {"weight_decay": 0.5}},
    ],
    ids=str,
)
def test_updates_agree(torch, optimizer):
    """Over three steps; compared is the change, since the rate is small."""
    model = ["flatten", {"dense": 4}, "relu", {"dense": 3}]
    ours, theirs = contenders(experiment(model, optimizer), channels_last=False)
    before = ours.model.arrays()
    for _ in range(3):
        ours.step()
        theirs.step()
    for name, weight in theirs.weights.items():
        change = weight.ours(weight.tensor.detach().numpy()) - before[name]
        assert np.abs(change).max() > 1e-9, name
        np.testing.assert_allclose(change, ours.model.arrays()[name] - before[name], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "network",
    [
        "LeNet",
        "airbench-like",
        pytest.param("ResNet-18", marks=pytest.mark.exhaustive),
        pytest.param("ResNet-50", marks=pytest.mark.exhaustive),
    ],
)
def test_networks_that_are_timed_on_a_gpu_agree(torch, network):
    """Scores, and the gradients of a step over a few images; of the large ones, of small images."""
    from benchmarks.gpu.networks import Case

    size, classes = {"LeNet": 28, "airbench-like": 32}.get(network, 33), 1000 if network == "ResNet-50" else 10
    images = {"size": size, "channels": 1 if network == "LeNet" else 3, "classes": classes}
    settings = Case(network, "float64").experiment().dump()
    settings["data"] |= {"dataset": {"synthetic": images}, "batch_size": 3, "augment": [], "validation": 0}
    ours, theirs = contenders(load(settings), channels_last=True)
    np.testing.assert_allclose(theirs.scores(), ours.scores(), rtol=1e-9, atol=1e-9)
    ours.step()
    theirs.step()
    for name, weight in theirs.weights.items():
        grad = ours.model.params[name].grad
        difference = np.abs(weight.ours(weight.tensor.grad.numpy()) - grad).max()
        assert difference <= 1e-7 * np.abs(grad).max() > 0, name


def test_networks_of_the_shipped_configs_convert(torch):
    from benchmarks.contest import contenders
    from gpucnn.resources import find_config

    for name in ("digits", "mnist", "cifar10"):
        found = contenders(load(find_config(name), ["data.batch_size=2"]))
        assert [contender.name for contender in found] == [
            "gpucnn",
            "PyTorch eager NCHW",
            "PyTorch eager channels_last",
        ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": ["elu", *GLOBAL]}, "layer 0.elu: there is no elu"),
        ({"model": ["scale", *GLOBAL]}, "scale that is learned"),
        ({"model": ["flatten", "batch_norm", {"dense": 3}]}, "batch_norm after flatten"),
        ({"model": [POOLS[0] | {"avg_pool2d": {"padding": "same", "count_include_pad": False}}, *GLOBAL]}, "uneven"),
        ({"model": GLOBAL, "loss": "mse"}, "loss: there is no mse"),
    ],
)
def test_what_cannot_be_converted_is_named(torch, settings, message):
    with pytest.raises(ArgumentError, match=message):
        contenders(experiment(**settings), channels_last=False)


def test_another_network_is_not_timed(torch):
    from benchmarks.contest import check_scores
    from benchmarks.processes import Failed

    ours, theirs = contenders(experiment(GLOBAL), channels_last=False)
    check_scores([ours, theirs])
    theirs.module[1].bias.data += 0.01
    with pytest.raises(Failed, match="PyTorch eager NCHW gives other scores"):
        check_scores([ours, theirs])
