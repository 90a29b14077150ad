"""The networks of `python -m benchmarks cpu`, on images made by a rule: no data set is needed."""

from __future__ import annotations

from typing import Any

from benchmarks.cpu.growth import Grown
from gpucnn.config import Experiment, load
from gpucnn.resources import find_config

LENET = [
    {"conv2d": {"out_channels": 32, "kernel_size": 5, "padding": "same"}},
    "relu",
    {"max_pool2d": 2},
    {"conv2d": {"out_channels": 64, "kernel_size": 5, "padding": "same"}},
    "relu",
    {"max_pool2d": 2},
    "flatten",
    {"dense": 512},
    "relu",
    {"dense": 10},
]

SEPARABLE = [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)]
"""Depthwise-separable blocks: channels in and out, stride. Source: A. Howard et al., MobileNets, arXiv:1704.04861."""

SGD = {"sgd": {"lr": 0.05, "momentum": 0.9}}

NETWORKS = {"lenet-64": 64, "lenet-128": 128, "resnet20-128": 128, "separable-128": 128}
"""Names, and the sizes of their batches."""

GOALS = {"lenet": 0.75, "resnet20": 1.2, "separable": 1.0, "evaluation": 1.0}
"""The ratio of times, ours divided by PyTorch's, that a training step, and evaluation, must reach."""


def experiment(name: str) -> Experiment:
    """Return the experiment of a network: one of NETWORKS, or one that `growth` made."""
    if grown := Grown.named(name):
        return grown.experiment()
    kind, batch = name.split("-")[0], NETWORKS[name]
    if kind == "resnet20":
        shipped = load(find_config("cifar10")).dump()
        return load(shipped | {"data": _data((32, 32, 3), batch)})
    shape, model = ((28, 28, 1), LENET) if kind == "lenet" else ((32, 32, 3), _separable())
    return load({"name": kind, "data": _data(shape, batch), "model": model, "optimizer": SGD})


def goal(name: str, label: str) -> float:
    """Return the ratio that a pass of a network must reach."""
    return GOALS.get(label) or GOALS[name.split("-")[0]]


def _data(shape: tuple[int, int, int], batch: int) -> dict[str, Any]:
    size, channels = list(shape[:2]), shape[2]
    images = {"classes": 10, "size": size, "channels": channels, "train": 256, "test": 64}
    return {"dataset": {"synthetic": images}, "batch_size": batch}


def _separable() -> list[Any]:
    """Return the layers of a network of 3x3 depthwise and 1x1 convolutions, each with batch_norm and relu."""

    def normalised(out: int, **arguments: Any) -> list[Any]:
        return [{"conv2d": {"out_channels": out, "bias": False, **arguments}}, "batch_norm", "relu"]

    model = normalised(32, kernel_size=3, padding=1)
    for channels, out, stride in SEPARABLE:
        model += normalised(channels, kernel_size=3, padding=1, stride=stride, groups=channels)
        model += normalised(out, kernel_size=1)
    return [*model, "global_avg_pool2d", {"dense": 10}]
