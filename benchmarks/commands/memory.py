"""`python -m benchmarks memory`: the most resident memory of an epoch of Fashion-MNIST."""

from __future__ import annotations

from statistics import median
from typing import Annotated

import typer

from benchmarks.options import Output, Overrides
from benchmarks.processes import PYTHON, run
from benchmarks.report import Report, mebibytes, spread
from benchmarks.training import train


def memory(
    overrides: Overrides = None,
    runs: Annotated[int, typer.Option(min=1, help="Processes of each kind.")] = 3,
    output: Output = None,
) -> None:
    """Measure the peak resident memory of one epoch of configs/fashion_mnist.yaml, and of the imports alone."""
    report = Report("memory", output)
    settings = ["training.epochs=1", *(overrides or [])]
    peaks = {
        "imports alone": [run([PYTHON, "-c", "import gpucnn; gpucnn.train"]).peak_bytes for _ in range(runs)],
        "one epoch of fashion_mnist": [train("fashion_mnist", settings).cost.peak_bytes for _ in range(runs)],
    }
    rows = [
        [name, mebibytes(median(values)), spread([value / 2**20 for value in values], 0)]
        for name, values in peaks.items()
    ]
    measured = {"runs": runs, "overrides": settings, "peak_bytes": peaks}
    report.finish(measured, ["process", "peak memory", "spread, MiB"], rows)
