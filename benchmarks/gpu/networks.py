"""The networks whose steps are timed, in which precisions, and what was aimed at. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.machine import ROOT
from benchmarks.peers.base import LEARNING_RATE
from gpucnn.config import Experiment, load
from gpucnn.resources import find_config

HALVES = {"bf16": "bfloat16", "fp16": "float16"}
"""Words of the config's `precision` -> the dtype that is stored."""

CONFIGS = {
    "LeNet": "lenet",
    "ResNet-20": "cifar10",
    "airbench-like": "cifar10_fast",
    "ResNet-18": "cifar10_resnet18",
    "ResNet-50": "resnet50",
}
"""Networks, and the experiments that they are: those of benchmarks/configs, or shipped ones."""

UNROLLED = {"LeNet": 8, "ResNet-20": 8}
"""How many steps of short ones a graph is of, ours and PyTorch's: a launch costs some microseconds."""

LARGE = ("ResNet-50",)
"""Of these, contenders are not in memory all at once."""


@dataclass(frozen=True)
class Case:
    """A network in a precision. goal: the seconds that a step of ours was to take, None where nothing was said."""

    network: str
    precision: str
    goal: float | None = None

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return f"{self.network}:{self.precision}"

    def experiment(self, precision: str | None = None) -> Experiment:
        """Return its experiment, or the same in another precision, at a rate that leaves the network as it is.

        No data set is read: images are made by chance.
        """
        name = CONFIGS[self.network]
        file = ROOT / "benchmarks" / "configs" / f"{name}.yaml"
        changes = [
            f"precision={precision or self.precision}",
            f"optimizer.sgd.lr={LEARNING_RATE}",
            "optimizer.sgd.norm_bias_lr=1",
        ]  # as peers
        return load(file if file.is_file() else find_config(name), changes)


CASES = [
    Case("LeNet", "float32", 60e-6),
    Case("ResNet-20", "bf16", 0.35e-3),
    Case("airbench-like", "bf16", 2.2e-3),
    Case("ResNet-18", "bf16", 1.6e-3),
    Case("ResNet-50", "bf16", 30e-3),
    Case("ResNet-20", "float32"),
    Case("airbench-like", "fp16", 2.2e-3),
    Case("ResNet-20", "tf32"),
]
"""The most telling first."""


def case(name: str) -> Case:
    """Return the case of this name."""
    return next(found for found in CASES if found.name == name)
