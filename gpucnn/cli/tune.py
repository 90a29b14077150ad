"""`gpucnn tune`: by which kernels a GPU computes a network's convolutions and dense layers fastest, measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gpucnn.profiling.tuned import Row


def tune(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a shipped experiment: digits.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY.PATH=VALUE", help="Settings to change: data.batch_size=128.")
    ] = None,
    device: Annotated[str, typer.Option(help="cuda or cuda:N.")] = "cuda",
    again: Annotated[bool, typer.Option("--again", help="Measure what was measured before, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the time of every plan.")] = False,
) -> None:
    """Find the fastest kernel for each pass of each layer on a GPU, and keep it for runs on such a device.

    Of each pass the plans with the best estimates are timed, by replays of CUDA graphs in turns; medians decide. They
    are kept in $GPUCNN_CACHE or the user's cache, for this device, driver, CuPy and version of the kernels. Runs use
    them unless `plans: default` is set; a run that has begun keeps to its own. The data set is not needed.
    """
    import time

    from gpucnn.backend import Device
    from gpucnn.cli.status import status
    from gpucnn.config import load
    from gpucnn.profiling.tuned import tuned
    from gpucnn.resources import find_config

    experiment, target = load(find_config(config), overrides or ()), Device.named(device)
    if experiment.plans == "default":
        typer.echo("plans is default: runs of this config will not use what is found", err=True)
    began = time.perf_counter()
    with status() as tell:
        rows, path = tuned(experiment, target, again=again, tell=tell, warn=lambda text: typer.echo(text, err=True))
    seconds = time.perf_counter() - began
    if as_json:
        found = {"name": experiment.name, "device": str(target), "cache": str(path), "seconds": seconds}
        typer.echo(json.dumps(found | {"passes": [row.dump() for row in rows]}, indent=2))
    else:
        typer.echo(as_text(f"{experiment.name} on {target}", rows, str(path), seconds))


def as_text(title: str, rows: list[Row], path: str, seconds: float) -> str:
    """Return what was found as text: the passes of whole batches, their sum, where it is kept, and how long it took."""
    from gpucnn.cli.tables import labels, table
    from gpucnn.problems import plural

    paths = list(dict.fromkeys(row.part.path for row in rows))
    names, lines, last = dict(zip(paths, labels(paths), strict=True)), [], ""
    shown = [row for row in rows if _images(row) == _images(rows[0])]
    for row in shown:
        label = "" if row.part.path == last else names[row.part.path]
        times = _times(row.seconds, row.default_seconds)
        lines.append([label, row.task.what, row.plan, *times, f"{100 * row.roofline:.1f} %"])
        last = row.part.path
    counted = [row for row in shown if not _beside(row, shown)]
    ours, before = sum(row.seconds for row in counted), sum(row.default_seconds for row in counted)
    lines.append(["all", "", "", *_times(ours, before), ""])
    distinct = {str(row.task): row for row in rows}.values()
    measured, new = plural(len(distinct), "task"), sum(row.is_new for row in distinct)
    sections = [
        f"{title}: {measured}, {new} measured now, in {seconds:.1f} s",
        table(["layer", "pass", "plan", "us", "default us", "gain", "roofline"], lines),
        *_smaller(rows),
        f"kept in {path}",
        *_failures(rows),
    ]
    return "\n\n".join(sections)


def _images(row: Row) -> int:
    """Return how many images a task is of."""
    return row.task.x_shape[0]


def _beside(row: Row, rows: list[Row]) -> bool:
    """Return whether a pass is one of two that are listed once more as both gradients."""
    both = row.task._replace(which="both_gradients")
    return row.task.which in ("backward_data", "backward_weight") and both in [other.task for other in rows]


def _smaller(rows: list[Row]) -> list[str]:
    """Return a section about batches that are smaller; none where there are no such ones."""
    from gpucnn.problems import plural

    sizes = dict.fromkeys(map(_images, rows))
    smaller = [plural(images, "image") for images in sizes if images != _images(rows[0])]
    return [f"measured, too: what is left over of an epoch or a batch, {' and '.join(smaller)}"] if smaller else []


def _times(seconds: float, default: float) -> list[str]:
    return [f"{seconds * 1e6:.2f}", f"{default * 1e6:.2f}", f"{default / seconds:.2f}x"]


def _failures(rows: list[Row]) -> list[str]:
    """Return a section about plans that could not be used; none where all could."""
    failed: dict[str, Any] = {f"{row.task}, {plan}": why for row in rows for plan, why in row.failed.items()}
    if not failed:
        return []
    return ["\n".join(["plans that cannot be used here:", *(f"  {plan}: {why}" for plan, why in failed.items())])]
