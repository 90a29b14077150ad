"""`python -m benchmarks textbook`: a step of LeNet as textbooks write it, beside ours."""

from __future__ import annotations

import importlib.util
import time
from statistics import median
from typing import Annotated

import typer

from benchmarks.machine import usable_cpus, use_threads
from benchmarks.options import Output
from benchmarks.processes import Failed
from benchmarks.report import Report, seconds, spread


def textbook(
    batch: Annotated[int, typer.Option(min=1, help="Images in a step.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each.")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="[default: one for each usable CPU]")] = None,
    output: Output = None,
) -> None:
    """Time a training step of the LeNet-like network beside NumPy with loops around scipy.signal.correlate2d.

    Both have the same weights and images; their scores are compared before.
    """
    if importlib.util.find_spec("scipy") is None:
        raise Failed("SciPy is not installed, whose correlate2d the textbook's loops go around: pip install scipy")
    threads = threads or usable_cpus()
    use_threads(threads)
    from benchmarks.contest import check_scores
    from benchmarks.cpu.networks import experiment
    from benchmarks.cpu.worker import turn
    from benchmarks.peers.base import Batch
    from benchmarks.peers.gpucnn import Gpucnn
    from benchmarks.peers.textbook import Textbook
    from gpucnn.config import load

    report = Report("textbook", output)
    plain = experiment("lenet-64").dump()
    chosen = load(plain | {"data": plain["data"] | {"batch_size": batch}})
    images = Batch.random(chosen)
    ours = Gpucnn(chosen, images)
    theirs = Textbook(ours.model, images)
    check_scores([ours, theirs])
    times: dict[str, list[float]] = {ours.name: [], theirs.name: []}
    for _ in range(rounds):
        times[ours.name].append(turn(ours.step, 0.5))
        started = time.perf_counter()
        theirs.step()
        times[theirs.name].append(time.perf_counter() - started)
    ratios = [their / own for own, their in zip(*times.values(), strict=True)]
    row = [
        str(batch),
        *(seconds(median(found)) for found in times.values()),
        f"{median(ratios):.0f}",
        spread(ratios, 0),
    ]
    measured = {"runs": rounds, "threads": threads, "batch_size": batch}
    measured |= {"ratio": median(ratios), "ratios": ratios, "seconds": times}
    report.finish(measured, ["images", "gpucnn", "textbook", "textbook / gpucnn", "spread"], [row])
