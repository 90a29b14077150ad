"""Runs and checkpoints as commands open them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from gpucnn.training.run import Run


def opened(path: Path, device: str | None) -> Run:
    """Return the run in a folder, or a checkpoint; says on stderr which damaged checkpoints were passed over."""
    from gpucnn.training.run import load

    run = load(path, device=device)
    for problem in run.damaged:
        typer.echo(f"passed over: {problem}", err=True)
    return run
