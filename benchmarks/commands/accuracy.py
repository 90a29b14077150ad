"""`python -m benchmarks accuracy NAME`: what a shipped config learns, and what that costs."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer

from benchmarks.options import Output, Overrides
from benchmarks.report import Report, mebibytes, percent, seconds
from benchmarks.training import train

SHORTER = {"cifar10": ["training.epochs=1"]}
"""Settings without which a config takes hours on a CPU."""


def accuracy(
    name: Annotated[str, typer.Argument(help="A shipped config: mnist, fashion_mnist, cifar10, digits.")],
    overrides: Overrides = None,
    output: Output = None,
) -> None:
    """Train a config once: accuracy, losses, images/s, seconds, peak memory. cifar10: for one epoch, unless told."""
    report = Report(f"accuracy-{Path(name).stem}", output)
    settings = [*SHORTER.get(name, []), *(overrides or [])]
    run = train(name, settings)
    first, last = (mean(part) for part in (run.losses[:3], run.losses[-3:]))
    rows = [_row(row) for row in run.epochs]
    figures = [
        f"{run.split} accuracy: {percent(run.accuracy)}, epochs: {len(run.epochs)}",
        f"training loss: {first:.4f} at first, {last:.4f} at last",
        f"time: {seconds(run.cost.seconds)}, of it {seconds(run.training_seconds)} in training steps",
        f"peak memory: {mebibytes(run.cost.peak_bytes)}",
    ]
    measured = {
        "config": name,
        "overrides": settings,
        "runs": 1,
        "first_loss": first,
        "last_loss": last,
        **run.dump(),
        "losses": run.losses,
    }
    report.finish(measured, ["epoch", "training loss", "training accuracy", "images/s"], rows, figures)


def _row(epoch: dict[str, Any]) -> list[str]:
    loss, speed = f"{epoch['train_loss']:.4f}", f"{epoch['images_per_second']:,.0f}"
    return [str(epoch["epoch"]), loss, percent(epoch["train_accuracy"]), speed]
