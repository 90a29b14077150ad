"""`python -m benchmarks growth`: time and memory of an image against batch, image size, channels and depth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.machine import ROOT, usable_cpus
from benchmarks.options import Output
from benchmarks.processes import Failed
from benchmarks.report import Report


def growth(
    axes: Annotated[
        list[str] | None, typer.Argument(help="batch, size, channels, depth: what grows.  [default: all]")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each network.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn.")] = 0.3,
    threads: Annotated[int | None, typer.Option(min=1, help="[default: one for each usable CPU]")] = None,
    pictures: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to put the plots.")] = ROOT / "docs",
    output: Output = None,
) -> None:
    """Measure networks of convolution, batch norm and relu that grow in one way, and draw what an image costs.

    Each network runs in processes of its own. Time is that of the fastest turn, memory the highest resident memory of
    a step less what was resident after the imports. Draws growth-time.png and growth-memory.png.
    """
    from benchmarks.cpu.growth import AXES, as_part
    from benchmarks.cpu.growth import growth as measure
    from benchmarks.cpu.pictures import draw
    from benchmarks.cpu.turns import Settings

    if unknown := set(axes or []) - set(AXES):
        raise Failed(f"{min(unknown)} is not one of {', '.join(AXES)}")
    report = Report("growth", output)
    settings = Settings(threads or usable_cpus(), rounds, seconds, [], [])
    found = measure(axes or AXES, settings)
    part = as_part(found)
    drawn = [f"drawn: {file}" for file in draw(found, pictures)]
    report.finish({"runs": rounds, "threads": settings.threads, **part.measured}, part.heads, part.rows, drawn)
