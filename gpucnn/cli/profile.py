"""`gpucnn profile`: where the time of a training step goes, and how far that is from what the device can do."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gpucnn.profiling.profile import Profile


MUCH_JITTER = 0.1
"""Of the step: above, the reader is told."""


def profile(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a shipped experiment: digits.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY.PATH=VALUE", help="Settings to change: data.batch_size=128.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N instead of the config's.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="How many steps to time, once it is warm.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the time of every step.")] = False,
) -> None:
    """Time the parts of a training step: each layer's passes, the loss, the update, the wait for data.

    Beside the time of each (the median, and half the distance between the quartiles as its spread) stand the
    floating-point operations and bytes a second that it comes to, and how much that is of the roofline: of what a
    large matrix product and a large copy, measured first, would allow. Nothing is written, no run is made.
    """
    from gpucnn.backend import Device
    from gpucnn.cli.status import status
    from gpucnn.config import load
    from gpucnn.profiling.measure import profile as measured
    from gpucnn.resources import find_config

    experiment = load(find_config(config), overrides or ())
    target = Device.named(device or experiment.device)
    if target.note:
        typer.echo(target.note, err=True)
    with status() as tell:
        found = measured(experiment, target, steps, tell)
    typer.echo(json.dumps(found.dump(), indent=2) if as_json else as_text(found))


def as_text(found: Profile) -> str:
    """Return a profile as text: the peaks, the parts, their sum, what is most expensive, and how to read it."""
    from gpucnn.problems import plural

    timed = f"medians of {plural(len(found.step), 'step')} of {plural(found.batch, 'image')}"
    peaks = (
        f"{found.peaks.flops / 1e9:,.0f} GFLOP/s (a large product), {found.peaks.bytes / 1e9:,.1f} GB/s (a large copy)"
    )
    on = found.device if found.threads is None else f"{found.device}, {plural(found.threads, 'thread')}"
    sections = [
        f"{found.name} on {on}, {found.dtype}: {timed}\npeaks, measured: {peaks}",
        _parts(found),
        _sum(found),
        _most_expensive(found),
        _notes(found),
    ]
    return "\n\n".join(sections)


def _parts(found: Profile) -> str:
    from gpucnn.cli.tables import labels, table
    from gpucnn.profiling.profile import spread

    unit, scale = _unit(found)
    paths = list(dict.fromkeys(row.part.path for row in found.rows if row.is_layer))
    names = dict(zip(paths, labels(paths), strict=True))
    host = [f"host {unit}"] if found.on_gpu else []
    rows, last = [], ""
    for row in found.rows:
        rows.append(
            [
                "" if row.part.path == last else names.get(row.part.path, row.part.path),
                row.part.what,
                f"{row.seconds * scale:.3f}",
                _percent(spread(row.times), 0),
                *([] if row.host is None else [f"{row.host * scale:.3f}"]),
                _percent(found.share(row.seconds)),
                _rate(row.work.flops, row.seconds),
                _rate(row.work.bytes, row.seconds),
                _percent(row.roofline(found.peaks)),
                row.computed_by,
                row.runner_up,
            ]
        )
        last = row.part.path
    whole = {
        "rest": (median(found.rest), spread(found.rest)),
        "jitter": (found.jitter, None),
        "step": (found.seconds, spread(found.step)),
    }
    for name, (time, of) in whole.items():
        cells = [f"{time * scale:.3f}", _percent(of, 0), *["-" for _ in host], _percent(found.share(time))]
        rows.append([name, "", *cells, "-", "-", "-", "", ""])
    heads = ["layer", "pass", unit, "spread", *host, "share", "GFLOP/s", "GB/s", "roofline", "computed by", "runner-up"]
    return table(heads, rows)


def _sum(found: Profile) -> str:
    unit, scale = _unit(found)
    parts, step, plain = (seconds * scale for seconds in (found.parts, found.seconds, median(found.plain)))
    of = f"{parts:.3f} {unit} of the step's {step:.3f} {unit} ({_percent(parts / step)});"
    if found.on_gpu:
        host = sum(row.host or 0.0 for row in found.rows) * scale
        lines = [
            f"The parts keep the GPU busy for {of} Python takes {host:.3f} {unit} to launch them.",
            "rest: launch gaps, in which the GPU waits for Python, and the work between the parts.",
        ]
    else:
        lines = [
            f"The parts add up to {of} a step that is not cut into parts takes {plain:.3f} {unit}.",
            "data: the wait for the batch; threads that prepare the next ones (data.workers) share the step's cores.",
            "rest: the work between the parts, such as looking for infinities in the gradients.",
        ]
    return "\n".join([*lines, "jitter: what delays a part in fewer than half of the steps, and so is in no median."])


def _most_expensive(found: Profile) -> str:
    from gpucnn.cli.tables import table

    unit, scale = _unit(found)
    rows = []
    for row in found.most_expensive():
        time, of = f"{row.seconds * scale:.3f} {unit}", row.roofline(found.peaks)
        share = f"{_percent(found.share(row.seconds))} of the step"
        rows.append([f"  {row.label}", row.part.what, time, share, f"{_percent(of)} of the roofline" if of else ""])
    passes = ", ".join(f"{name} {_percent(found.share(seconds))}" for name, seconds in found.by_pass().items())
    return f"{table(['most expensive:', '', '', '', ''], rows)}\nby pass: {passes}"


def _notes(found: Profile) -> str:
    notes = [
        "FLOPs: those that `gpucnn check` counts, as many in each backward pass as forward. Bytes: each operand read",
        "once, each result written once. roofline: the least time that the peaks allow for both, over the time taken.",
    ]
    if any((row.roofline(found.peaks) or 0) > 1 for row in found.rows):
        notes.append(
            "Above 100 %: operands that stay in a cache, or an algorithm with fewer operations than are counted."
        )
    if any(row.runners_up for row in found.rows):
        notes.append("runner-up: the next best plan, in how many times the time; `gpucnn tune` measures estimates.")
    if found.share(found.jitter) > MUCH_JITTER:
        notes.append("Much jitter: the machine is busy with something else as well; try again, or with more --steps.")
    return "\n".join(notes)


def _unit(found: Profile) -> tuple[str, float]:
    """Return the unit of times, and how many there are in a second."""
    return ("ms", 1e3) if found.seconds >= 1e-3 else ("us", 1e6)


def _percent(part: float | None, digits: int = 1) -> str:
    return "-" if part is None else f"{100 * part:.{digits}f} %"


def _rate(count: int | None, seconds: float) -> str:
    """Return billions a second."""
    return f"{count / seconds / 1e9:,.1f}" if count and seconds else "-"
