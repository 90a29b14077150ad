"""`python -m benchmarks digits`: accuracy and time on the digits that come with gpucnn, over several seeds."""

from __future__ import annotations

from statistics import mean, median
from typing import Annotated

import typer

from benchmarks.options import Output, Overrides
from benchmarks.report import Report, percent, seconds
from benchmarks.training import train


def digits(
    overrides: Overrides = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ... to train with.")] = 5,
    output: Output = None,
) -> None:
    """Train configs/digits.yaml with several seeds: test accuracy and seconds, each in a process of its own."""
    report = Report("digits", output)
    runs = [train("digits", [f"seed={seed}", *(overrides or [])]) for seed in range(seeds)]
    accuracies, times = [run.accuracy for run in runs], [run.cost.seconds for run in runs]
    summary = {
        "accuracy_mean": mean(accuracies),
        "accuracy_min": min(accuracies),
        "seconds_median": median(times),
    }
    rows = [
        *([str(seed), percent(run.accuracy), seconds(run.cost.seconds)] for seed, run in enumerate(runs)),
        ["mean", percent(mean(accuracies)), seconds(mean(times))],
        ["min", percent(min(accuracies)), seconds(min(times))],
    ]
    measured = {"runs": seeds, **summary, "seeds": [run.dump() for run in runs]}
    report.finish(measured, ["seed", "test accuracy", "seconds, all in all"], rows)
