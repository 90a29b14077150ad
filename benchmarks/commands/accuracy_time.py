"""`python -m benchmarks accuracy-time NAME TARGET`: seconds of training until the test accuracy is reached."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.machine import usable_cpus
from benchmarks.options import Output, Overrides
from benchmarks.report import RESULTS, Report, percent, seconds, slug

if TYPE_CHECKING:
    from gpucnn.backend import Device

HEADS = ["seed", "seconds to it", "of training", "steps", "best accuracy"]


def accuracy_time(
    name: Annotated[str, typer.Argument(help="A config: lenet5, mnist_fast, ...")],
    target: Annotated[float, typer.Argument(min=0.0, max=1.0, help="Test accuracy, 0.99 say.")],
    overrides: Overrides = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ... to train with.")] = 3,
    every: Annotated[
        int | None,
        typer.Option(min=1, help="Steps between two looks at the test images.  [default: 4 looks an epoch]"),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    warm_up: Annotated[
        int, typer.Option(min=0, help="Steps of another network before the first seed's clock starts.")
    ] = 0,
    output: Output = None,
) -> None:
    """Train until the test images are classified as well as TARGET says, or to the last epoch, with several seeds.

    Counted are reading the data, making the network, and training; not counted are imports, warming up, and the time in
    which the test images are looked at. `of training` is the part of it after the data and the network were ready.
    """
    from benchmarks.race import race
    from gpucnn.backend import Device

    where, stem = Device.named(device), f"accuracy-time-{Path(name).stem}"
    device_name = _name(where)
    report = Report(stem, output or (RESULTS / f"{stem}-{slug(device_name)}.json" if device_name else None))
    found = []
    for seed in range(seeds):
        settings = [f"seed={seed}", *(overrides or [])]
        warm = 0 if seed else warm_up
        found.append(race(name, settings, target=target, every=every, device=where, warm_up=warm))
        typer.echo(f"seed {seed}: {percent(found[-1].best)}", err=True)
    rows = [
        [str(seed), _time(one.seconds), _time(one.training_seconds), f"{one.steps:,}", percent(one.best)]
        for seed, one in enumerate(found)
    ]
    times = [one.seconds for one in found if one.seconds is not None]
    training = [one.training_seconds for one in found if one.training_seconds is not None]
    measured = {
        "config": name,
        "overrides": overrides or [],
        "target": target,
        "device": device_name or "cpu",
        "threads": usable_cpus(),
        "warm_up_steps": warm_up,
        "runs": seeds,
        "reached": len(times),
        "seconds_median": median(times) if times else None,
        "training_seconds_median": median(training) if training else None,
        "counted": "reading the data, making the network, training; not imports, not warming up, not looking at the "
        "test images; training_seconds: training alone",
        "seeds": [one.dump() for one in found],
    }
    note = f"{percent(target)} reached by {len(times)} of {seeds}"
    report.finish(measured, HEADS, rows, [note + (f", median {seconds(median(times))}" if times else "")])


def _time(value: float | None) -> str:
    return "not reached" if value is None else seconds(value)


def _name(device: Device) -> str | None:
    """Return what a GPU is called; None for the CPU."""
    if device.kind == "cpu":
        return None
    from gpucnn.cuda.machine import devices

    return str(devices()[device.index]["name"])
