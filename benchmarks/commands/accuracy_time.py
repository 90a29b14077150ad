"""`python -m benchmarks accuracy-time NAME TARGET`: seconds of training until the test accuracy is reached."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.machine import usable_cpus
from benchmarks.options import Output, Overrides
from benchmarks.report import Report, percent, seconds

HEADS = ["seed", "seconds to it", "steps", "best accuracy"]


def accuracy_time(
    name: Annotated[str, typer.Argument(help="A config: lenet5, mnist_fast, ...")],
    target: Annotated[float, typer.Argument(min=0.0, max=1.0, help="Test accuracy, 0.99 say.")],
    overrides: Overrides = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ... to train with.")] = 3,
    every: Annotated[
        int | None, typer.Option(min=1, help="Steps between two looks at the test images.  [default: 4 an epoch]")
    ] = None,
    output: Output = None,
) -> None:
    """Train until the test images are classified as well as TARGET says, or to the last epoch, with several seeds.

    Counted are reading the data, making the network, and training; not counted are imports and the time in which the
    test images are looked at.
    """
    from benchmarks.race import race

    report = Report(f"accuracy-time-{Path(name).stem}", output)
    found = []
    for seed in range(seeds):
        found.append(race(name, [f"seed={seed}", *(overrides or [])], target=target, every=every))
        typer.echo(f"seed {seed}: {percent(found[-1].best)}", err=True)
    rows = [
        [str(seed), "not reached" if one.seconds is None else seconds(one.seconds), f"{one.steps:,}", percent(one.best)]
        for seed, one in enumerate(found)
    ]
    times = [one.seconds for one in found if one.seconds is not None]
    measured = {
        "config": name,
        "overrides": overrides or [],
        "target": target,
        "threads": usable_cpus(),
        "runs": seeds,
        "reached": len(times),
        "seconds_median": median(times) if times else None,
        "counted": "reading the data, making the network, training; not imports, not looking at the test images",
        "seeds": [one.dump() for one in found],
    }
    note = f"{percent(target)} reached by {len(times)} of {seeds}"
    report.finish(measured, HEADS, rows, [note + (f", median {seconds(median(times))}" if times else "")])
