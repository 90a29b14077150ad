"""`gpucnn parity`: the same training on two sides, compared layer by layer and step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from gpucnn.config import Experiment
    from gpucnn.dispatch import Impl
    from gpucnn.training.comparison import Compared, Parity, Row
    from gpucnn.training.parity import Side


def parity(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a shipped experiment: digits.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY.PATH=VALUE", help="Settings to change: precision=float64.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="How many steps to train.")] = 10,
    device: Annotated[str, typer.Option(help="What is checked: cuda, cuda:N or cpu.")] = "cuda",
    impl: Annotated[
        str, typer.Option(help="Its implementations: auto, reference or fast (an error without).")
    ] = "auto",
    against: Annotated[
        str, typer.Option(help="What it is checked against: numpy, or reference, the same device without kernels.")
    ] = "numpy",
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a golden file of what the device computed.")
    ] = None,
    golden: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with a golden file, also of another device.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a config on NumPy and on a device side by side, and tell where they differ by more than rounding.

    Shows for each layer the largest difference in the first step, relative to the largest number: of its output
    (forward), of the gradient of its input (backward data), of its parameters' gradients; both sides are fed the same.
    Then come the losses of some steps, each side on its own. How much is rounding follows from the precision and from
    how long the sums are; in float64 it is 1e-10. Exits with 1 where something differs by more.
    """
    from gpucnn.config import load
    from gpucnn.resources import find_config
    from gpucnn.training import golden as files
    from gpucnn.training.parity import parity as compared

    experiment = load(find_config(config), overrides or ())
    found = compared(*sides(experiment, device, impl, against), steps)
    if golden:
        found.golden += files.compare(golden, experiment, found)
    if write:
        files.write(write, experiment, found)
    typer.echo(json.dumps(found.dump(), indent=2) if as_json else as_text(found))
    if found.problems():
        raise typer.Exit(1)


def sides(experiment: Experiment, device: str, impl: str, against: str) -> tuple[Side, Side]:
    """Return what is checked, and what it is checked against."""
    from gpucnn.backend import Device
    from gpucnn.dispatch import using
    from gpucnn.errors import ArgumentError
    from gpucnn.training.parity import Side

    if against not in ("numpy", "reference"):
        raise ArgumentError(f"against (={against!r}) must be numpy or reference")
    chosen = cast("Impl", impl)
    with using(chosen):  # raises for a word that is none
        ours = Device.named(device)
    theirs = Device("cpu") if against == "numpy" else ours
    return Side(experiment, ours, chosen), Side(experiment, theirs, "reference")


def as_text(found: Parity) -> str:
    """Return a comparison as text: the layers, the losses, and what does not agree."""
    from gpucnn.cli.tables import table
    from gpucnn.problems import plural

    rows = [[row.label, *_cells(row), row.rooms] for row in found.rows]
    problems = found.problems()
    worst = max(found.losses, key=lambda losses: losses.error)
    where = f"step {found.first_difference.step}" if found.first_difference else "none"
    losses = [
        f"losses of {plural(len(found.losses), 'step')}: {found.losses[0].ours:.6g} to {found.losses[-1].ours:.6g}",
        f"largest relative difference: {worst.error:.2g}, in step {worst.step}",
        f"first step with more than rounding explains: {where}",
    ]
    sections = [
        f"{found.ours} against {found.theirs}, {found.dtype}",
        table(["layer", "forward", "backward data", "parameters", "computed by"], rows),
        "\n".join(losses),
        "\n".join(problems) if problems else "all agree",
    ]
    return "\n\n".join(sections)


def _cells(row: Row) -> list[str]:
    """Return the errors of forward, backward data and the parameter that is worst; `!` where one is no rounding."""
    from gpucnn.training.tracing import DATA, FORWARD

    passes = {compared.what: compared for compared in row.compared}
    rest = [compared for what, compared in passes.items() if what not in (FORWARD, DATA)]
    worst = max(rest, key=lambda compared: compared.error / compared.limit, default=None)
    return [_cell(passes.get(FORWARD)), _cell(passes.get(DATA)), _cell(worst) + (f" {worst.what}" if worst else "")]


def _cell(compared: Compared | None) -> str:
    return "-" if compared is None else f"{compared.error:.1e}{'' if compared.agrees else '!'}"
