"""`gpucnn check`: what a config amounts to, without training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gpucnn.config.implementations import Choice
    from gpucnn.config.report import Report
    from gpucnn.profiling.tasks import Planned


def check(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a shipped experiment: digits.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY.PATH=VALUE", help="Settings to change: training.epochs=3.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Also run a step over two images on auto, cpu, cuda or cuda:N, and say what computes it."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with the config, every default written out.")
    ] = False,
) -> None:
    """Check a config without training: every setting, every shape, the data's files.

    Prints the layers with their output shapes, parameters and floating-point operations, the memory that a training
    step takes at the config's batch size, the data set and the number of steps. Exits with 2 where the config is
    wrong, with a line for each mistake.
    """
    import dataclasses

    from gpucnn.backend import Device
    from gpucnn.config import load
    from gpucnn.config.implementations import implementations
    from gpucnn.config.report import report
    from gpucnn.profiling.tasks import planned
    from gpucnn.resources import find_config
    from gpucnn.training.graph import why_eager

    experiment = load(find_config(config), overrides or ())
    found = report(experiment)
    target = None if device is None else Device.named(device)
    choices = implementations(experiment, target) if target else []
    plans = planned(experiment, target, lambda text: typer.echo(text, err=True)) if target else []
    why = why_eager(experiment, target) if target else ""
    if as_json:
        more: dict[str, Any] = {}
        if target:
            more = {
                "implementations": [dataclasses.asdict(choice) for choice in choices],
                "plans": [row.dump() for row in plans],
                "no_graph": why or None,
            }
        typer.echo(json.dumps(found.dump() | more, indent=2))
    else:
        sections = [
            as_text(found),
            *([_implementations(choices)] if target else []),
            *([_plans(plans)] if plans else []),
            *([f"no CUDA graph: {why}"] if why else []),
        ]
        typer.echo("\n\n".join(sections))


def as_text(report: Report) -> str:
    """Return the report as text."""
    from gpucnn.problems import plural, short

    experiment, images = report.experiment, report.images
    settings = [f"{key}: {short(getattr(experiment, key).dump(), 200)}" for key in ("loss", "optimizer", "schedule")]
    counts = {"to train on": images.train, "to validate with": images.validation, "to test with": images.test}
    parts = [f"{'?' if count is None else f'{count:,}'} {use}" for use, count in counts.items()]
    steps = plural(experiment.training.epochs, "epoch")
    if report.batches is not None:
        steps += f" of {plural(report.batches, 'step')}, {report.steps:,} in all"
    notes = [f"the data cannot be read yet: {images.missing}"] if images.missing else []
    data = f"{experiment.data.dataset.name}, {_by(images.shape)}, {len(images.classes)} classes"
    sections = [
        f"{experiment.name}\ndata: {data}; images: {', '.join(parts)}",
        _layers(report),
        _memory(report),
        "\n".join([*settings, f"training: {steps}"]),
        *(f"note: {note}" for note in [*notes, *report.notes]),
    ]
    return "\n\n".join(sections)


def _layers(report: Report) -> str:
    from gpucnn.cli.tables import labels, table

    rows = [
        [label, _by(row.output_shape), f"{row.params:,}", _large(row.flops)]
        for label, row in zip(labels([row.path for row in report.layers]), report.layers, strict=True)
    ]
    rows.append(["total", "", f"{report.parameters:,}", _large(report.flops)])
    return table(["layer", "output", "parameters", "FLOPs/image"], rows)


def _implementations(choices: list[Choice]) -> str:
    from gpucnn.cli.tables import table

    rows = [[c.operation, str(c.times), c.implementation, c.reason] for c in choices]
    return table(["operation", "times", "computed by", "why not faster"], rows)


def _plans(rows: list[Planned]) -> str:
    from gpucnn.cli.tables import labels, table

    paths = list(dict.fromkeys(row.part.path for row in rows))
    names, lines, last = dict(zip(paths, labels(paths), strict=True)), [], ""
    for row in rows:
        label = "" if row.part.path == last else names[row.part.path]
        lines.append([label, row.task.what, row.plan, "measured" if row.measured else "estimate"])
        last = row.part.path
    return table(["layer", "pass", "plan", "chosen by"], lines)


def _memory(report: Report) -> str:
    memory, experiment = report.memory, report.experiment
    parts = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        experiment.optimizer.name: memory.optimizer,
        "activations": memory.activations,
    }
    total = " + ".join(f"{name} {_bytes(size)}" for name, size in parts.items())
    return (
        f"memory at batch size {experiment.data.batch_size}, {experiment.precision}: {total} = {_bytes(memory.total)}"
    )


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _large(count: int) -> str:
    """Return a count with three digits: 12.3 M."""
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if count >= 10**power:
            return (
                f"{count / 10**power:.3g} {letter}"
                if count < 999.5 * 10**power
                else f"{count / 10**power:.0f} {letter}"
            )
    return str(count)


def _bytes(size: int) -> str:
    """Return a size in KiB, MiB or GiB."""
    for power, unit in ((30, "GiB"), (20, "MiB")):
        if size >= 2**power:
            return f"{size / 2**power:.1f} {unit}"
    return f"{size / 2**10:.1f} KiB"
