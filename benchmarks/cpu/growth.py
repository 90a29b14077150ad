"""Networks of one kind, larger and larger in one way: how the cost of an image grows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import typer

from benchmarks.cpu.turns import OURS, Part, Settings, Worker
from benchmarks.report import seconds
from gpucnn.backend import Device
from gpucnn.config import Experiment, load
from gpucnn.training.parts import build_model


@dataclass(frozen=True)
class Grown:
    """batch images of size x size; depth convolutions of 3x3 with batch norm and relu, channels wide."""

    batch: int = 64
    size: int = 32
    channels: int = 32
    depth: int = 4

    def __str__(self) -> str:
        return f"grown-{self.batch}-{self.size}-{self.channels}-{self.depth}"

    @staticmethod
    def named(name: str) -> Grown | None:
        """Return what `str` made the name of; None for other names."""
        found = re.fullmatch(r"grown-(\d+)-(\d+)-(\d+)-(\d+)", name)
        return Grown(*map(int, found.groups())) if found else None

    def experiment(self) -> Experiment:
        """Return the experiment, on images made by a rule."""
        images = {"classes": 10, "size": [self.size, self.size], "channels": 3, "train": self.batch, "test": 2}
        conv = {"conv2d": {"out_channels": self.channels, "kernel_size": 3, "padding": 1, "bias": False}}
        return load(
            {
                "name": str(self),
                "data": {"dataset": {"synthetic": images}, "batch_size": self.batch},
                "model": [*[conv, "batch_norm", "relu"] * self.depth, "global_avg_pool2d", {"dense": 10}],
                "optimizer": {"sgd": {"lr": 0.05, "momentum": 0.9}},
            }
        )


AXES: dict[str, list[int]] = {
    "batch": [2**i for i in range(11)],
    "size": [8, 12, 16, 24, 32, 48, 64, 96, 128],
    "channels": [4, 8, 16, 32, 64, 128],
    "depth": [1, 2, 4, 8, 16, 32],
}
"""What grows, and its values; all else is as Grown has it."""


@dataclass(frozen=True)
class Point:
    """Of one network, for an image: seconds of a step and of evaluation, peak bytes of a step; and its weights' bytes.

    flops: those of an image's evaluation.
    """

    value: int
    step_seconds: float
    evaluate_seconds: float
    peak_bytes: float
    weight_bytes: int
    flops: int

    @property
    def flops_per_second(self) -> float:
        """Of evaluation: multiplications and additions that the network has, however they are computed."""
        return self.flops / self.evaluate_seconds


def growth(axes: Iterable[str], settings: Settings) -> dict[str, list[Point]]:
    """Measure the networks of axes, each in processes of its own."""
    found: dict[str, list[Point]] = {}
    for axis in axes:
        found[axis] = []
        for value in AXES[axis]:
            typer.echo(f"{axis} {value}", err=True)
            found[axis].append(point(value, replace(Grown(), **{axis: value}), settings))
    return found


def point(value: int, grown: Grown, settings: Settings) -> Point:
    """Measure one network; of the turns' medians the fastest counts: what disturbs makes slower."""
    from benchmarks.cpu.memory import peak_of_step

    worker = Worker(str(grown), OURS, settings.threads, {})
    try:
        times = {
            method: min(worker.turn(method, settings.seconds) for _ in range(settings.rounds))
            for method in ("step", "evaluate")
        }
    finally:
        worker.close()
    peak = peak_of_step(str(grown), OURS, settings.threads, {})
    rows = build_model(grown.experiment(), (grown.size, grown.size, 3), Device("cpu")).rows()
    return Point(
        value,
        times["step"] / grown.batch,
        times["evaluate"] / grown.batch,
        peak / grown.batch,
        4 * sum(row.params for row in rows),
        sum(row.flops for row in rows),
    )


def as_part(found: dict[str, list[Point]]) -> Part:
    """Return what was measured as a table."""
    heads = ["what grows", "value", "step/image", "evaluation/image", "GFLOP/s", "peak memory/image"]
    rows = [
        [
            axis,
            str(one.value),
            seconds(one.step_seconds),
            seconds(one.evaluate_seconds),
            f"{one.flops_per_second / 1e9:.0f}",
            f"{one.peak_bytes / 2**20:.2f} MiB",
        ]
        for axis, points in found.items()
        for one in points
    ]
    measured: Any = {axis: [asdict(one) for one in points] for axis, points in found.items()}
    return Part({"base": asdict(Grown()), "axes": measured}, heads, rows)
