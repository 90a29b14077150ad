"""`python -m benchmarks cpu`: what the CPU path costs, beside PyTorch at its best."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.machine import usable_cpus
from benchmarks.options import Output
from benchmarks.processes import Failed
from benchmarks.report import Report
from gpucnn.cli.tables import table

if TYPE_CHECKING:
    from benchmarks.cpu.turns import Part, Settings

PARTS = ["steps", "passes", "epoch", "memory", "data"]


def cpu(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="PART | NETWORK", help=f"{', '.join(PARTS)}; or networks.  [default: all]"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn.")] = 0.5,
    threads: Annotated[int | None, typer.Option(min=1, help="For all.  [default: one for each usable CPU]")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Measure torch.compile too: minutes to start.")] = False,
    output: Output = None,
) -> None:
    """Measure gpucnn and PyTorch by turns, each contender in a process of its own.

    steps: a training step and evaluation of networks (by their names: of these alone). passes: single convolutions.
    epoch: from the start of a process to the end of an epoch. memory: the peak of a step. data: the share of an epoch
    in which the step waits for images.

    The ratio is ours divided by PyTorch's, below 1 where gpucnn takes less; PyTorch's is what was best of eager
    NCHW and channels_last, each with and without settings that let malloc keep memory, and with --compile both
    compiled. Of times it is taken in each round: the table shows the median and the spread.
    """
    from benchmarks.cpu.networks import NETWORKS
    from benchmarks.cpu.turns import Settings, peers

    networks = [name for name in what or [] if name in NETWORKS]
    if unknown := set(what or []) - {*NETWORKS, *PARTS}:
        raise Failed(f"{min(unknown)} is not one of {', '.join([*PARTS, *NETWORKS])}")
    chosen = [name for name in PARTS if name in (what or [])] or (["steps"] if networks else PARTS)
    names, missing = peers(compiled=compiled)
    settings = Settings(threads or usable_cpus(), rounds, seconds, names, missing)
    report, measured = Report("cpu", output), {}
    for name in chosen:
        part = _parts(networks)[name](settings)
        measured[name] = part.measured
        typer.echo(table(part.heads, part.rows) + "\n")
    document = {"runs": rounds, "threads": settings.threads, "not_measured": missing, **measured}
    report.write(document)
    typer.echo("\n".join([*([f"not measured: {', '.join(missing)}"] if missing else []), f"numbers: {report.path}"]))


def _parts(networks: list[str]) -> dict[str, Callable[[Settings], Part]]:
    from benchmarks.cpu import epochs, memory, passes, steps

    found: list[Callable[[Any], Any]] = [
        lambda settings: steps.steps(networks, settings),
        passes.passes,
        epochs.first_epoch,
        lambda settings: memory.memory(networks, settings),
        epochs.data_share,
    ]
    return dict(zip(PARTS, found, strict=True))
