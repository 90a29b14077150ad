"""`gpucnn data`: which data sets there are, and how to get them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(name="data", help="List data sets, and download them.", no_args_is_help=True)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show each data set: where it is found, how many images, what a download weighs, whose it is."""
    from gpucnn.data.base import Dataset

    rows = [_row(name, cls) for name, cls in Dataset.registry.classes.items()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    heads = {key: key.upper() for key in rows[0]}
    widths = {key: max(len(row[key]) for row in [heads, *rows]) for key in heads}
    for row in [heads, *rows]:
        typer.echo("  ".join(text.ljust(widths[key]) for key, text in row.items()).rstrip())


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of the data set, as `gpucnn data list` shows it.")],
    base_url: Annotated[str | None, typer.Option(help="Folder on a server to download from instead.")] = None,
    dest: Annotated[Path | None, typer.Option(help="Folder to put the files into [default: the user's cache].")] = None,
) -> None:
    """Download a data set, verify it, and print the folder it is in."""
    from gpucnn.data.fetch import fetch as download

    with _Bar() as bar:
        folder = download(name, base_url=base_url, dest=dest, say=bar.say, progress=bar)
    typer.echo(folder)


def _row(name: str, cls: Any) -> dict[str, str]:
    from gpucnn.data.base import NEEDS_PATH
    from gpucnn.errors import DataError

    found, images = cls.located(), "-"
    if found != NEEDS_PATH:
        try:
            info = cls().info()
            images = f"{info.train} + {info.test}"
        except DataError:  # said in full when the data set is used
            images = "damaged"
    weight = f"{cls.origin.megabytes} MB" if cls.origin else "-"
    return {"name": name, "found": found, "images": images, "download": weight, "licence": cls.licence}


class _Bar:
    """A progress bar on stderr, with the methods that pooch calls; plain lines where stderr is not a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("")
        self.total = 0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        typer.echo(text, err=True)

    def update(self, count: int) -> None:
        """Note that `count` more bytes are there."""
        self._progress.update(self._task, total=self.total or None, advance=count)

    def reset(self) -> None:
        """Begin again at 0."""
        self._progress.reset(self._task)

    def close(self) -> None:
        """Do nothing: the next file uses the same bar."""
