"""`gpucnn doctor`: whether all that gpucnn stands on is there and works, as text to paste into a report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gpucnn.cli.diagnosis import Finding


def doctor(
    device: Annotated[str | None, typer.Option(help="A device that has to work: cpu, cuda or cuda:N.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check Python, NumPy, CuPy, driver, GPUs, kernels and data sets, and compute a convolution on each device.

    Each problem is one line, with what to do about it. Exits with 0 where all that is there works, with 1 where
    something is broken. Without CuPy, gpucnn runs on the CPU: that is a note and no problem, unless --device asks
    for more.
    """
    from gpucnn.cli.diagnosis import diagnosis

    found = []
    for finding in diagnosis(device):
        found.append(finding)
        if not as_json:
            typer.echo(as_line(finding))
    broken = sum(finding.state == "fail" for finding in found)
    if as_json:
        typer.echo(json.dumps({"sound": not broken, "findings": [finding.dump() for finding in found]}, indent=2))
    else:
        typer.echo(verdict(broken))
    if broken:
        raise typer.Exit(1)


def as_line(finding: Finding) -> str:
    """Return a finding as one line: state, subject, what was found, what to do."""
    from gpucnn.problems import printable

    text = finding.text + (f"; remedy: {finding.remedy}" if finding.remedy else "")
    return printable(f"{finding.state:<4}  {finding.subject:<18}  {text}".rstrip())


def verdict(broken: int) -> str:
    """Return the last line.

    >>> verdict(0), verdict(2)
    ('nothing is broken', '2 problems: see the lines that begin with fail')
    """
    from gpucnn.problems import plural

    return f"{plural(broken, 'problem')}: see the lines that begin with fail" if broken else "nothing is broken"
