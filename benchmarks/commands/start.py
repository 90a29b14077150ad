"""`python -m benchmarks start`: how long it takes until something happens."""

from __future__ import annotations

from statistics import median
from typing import Annotated

import typer

from benchmarks.options import Output
from benchmarks.processes import PYTHON, Cost, run
from benchmarks.report import Report, spread

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import gpucnn": ["-c", "import gpucnn"],
    "import gpucnn; gpucnn.train": ["-c", "import gpucnn; gpucnn.train"],
    "gpucnn --help": ["-m", "gpucnn", "--help"],
    "gpucnn check digits": ["-m", "gpucnn", "check", "digits"],
}


def start(
    runs: Annotated[int, typer.Option(min=1, help="Fresh processes of each kind; they take turns.")] = 15,
    output: Output = None,
) -> None:
    """Measure fresh processes: Python alone, with gpucnn imported, `gpucnn --help`, `gpucnn check digits`."""
    report = Report("start", output)
    costs: dict[str, list[Cost]] = {name: [] for name in COMMANDS}
    for turn in range(runs + 1):
        for name, arguments in COMMANDS.items():
            cost = run([PYTHON, *arguments])
            if turn:  # the first one brings files into the system's cache
                costs[name].append(cost)
    kinds = ("seconds", "cpu_seconds")
    values = {name: {kind: [getattr(cost, kind) for cost in found] for kind in kinds} for name, found in costs.items()}
    rows = [
        [name, *(text for kind in kinds for text in (f"{median(found[kind]):.3f}", spread(found[kind], 3)))]
        for name, found in values.items()
    ]
    medians = {name: {kind: median(found[kind]) for kind in kinds} for name, found in values.items()}
    measured = {"runs": runs, "medians": medians, "processes": values}
    report.finish(measured, ["process", "seconds", "spread", "CPU seconds", "spread"], rows)
