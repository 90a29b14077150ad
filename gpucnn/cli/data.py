"""`gpucnn data`: which data sets there are, and how to get them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(name="data", invoke_without_command=True)


@app.callback()
def data(context: typer.Context) -> None:
    """List data sets, which `gpucnn data` alone does, and download them."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list", short_help="Show each data set, and where it is.")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show each data set: where it is found, how many images, what a download weighs, whose it is."""
    from gpucnn.data.base import Dataset

    found = [_row(name, cls) for name, cls in Dataset.registry.classes.items()]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from gpucnn.cli.tables import table

    typer.echo(table(["name", "found", "images", "download", "licence"], map(_cells, found)))
    for row in found:
        if row["problem"]:
            typer.echo(f"{row['name']}: damaged: {row['problem']}", err=True)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set, as `gpucnn data list` names it.")],
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Folder on a server to download from instead.")
    ] = None,
    dest: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to put the files into.  [default: the user's cache]")
    ] = None,
) -> None:
    """Download a data set, verify it, and print the folder it is in."""
    from gpucnn.data.fetch import fetch as download

    with _Bar() as bar:
        folder = download(name, base_url=base_url, dest=dest, say=bar.say, progress=bar)
    typer.echo(folder)


def _row(name: str, cls: Any) -> dict[str, Any]:
    """Return what is known of a data set. train, test: how many images; None where only its path would tell."""
    from gpucnn.data.base import NEEDS_PATH
    from gpucnn.errors import DataError

    found, train, test, problem = cls.located(), None, None, None
    if found != NEEDS_PATH:
        try:
            info = cls().info()
            train, test = info.train, info.test
        except DataError as error:
            problem = str(error)
    megabytes = cls.origin.megabytes if cls.origin else None
    return {
        "name": name,
        "found": found,
        "train": train,
        "test": test,
        "megabytes": megabytes,
        "licence": cls.licence,
        "problem": problem,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    images = "-" if row["train"] is None else f"{row['train']:,} + {row['test']:,}"
    weight = "-" if row["megabytes"] is None else f"{row['megabytes']} MB"
    return [row["name"], row["found"], "damaged" if row["problem"] else images, weight, row["licence"]]


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
