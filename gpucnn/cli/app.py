"""The commands of `gpucnn`, put together. What a command needs is imported when it runs, never for its help."""

from __future__ import annotations

from typing import Annotated

import typer

from gpucnn.cli import data, runs
from gpucnn.cli.check import check
from gpucnn.cli.doctor import doctor
from gpucnn.cli.evaluate import evaluate
from gpucnn.cli.parity import parity
from gpucnn.cli.predict import predict
from gpucnn.cli.profile import profile
from gpucnn.cli.schema import schema
from gpucnn.cli.train import train
from gpucnn.cli.tune import tune

app = typer.Typer(
    name="gpucnn",
    rich_markup_mode=None,  # plain help: half the time of the decorated one, and right on every terminal
    pretty_exceptions_enable=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        from gpucnn import __version__

        typer.echo(f"gpucnn {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def gpucnn(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train convolutional neural networks from one YAML file.

    First steps: `gpucnn train digits` trains a small network on handwritten digits that come with gpucnn, in
    half a minute and with no download; `gpucnn runs` lists what was trained, `gpucnn eval` looks closer.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


app.command()(train)
app.command("eval")(evaluate)
app.command()(predict)
app.command("runs")(runs.runs)
app.command(short_help="Check a config without training.")(check)
app.command()(schema)
app.command(short_help="Check what gpucnn stands on: packages, GPUs, data sets.")(doctor)
app.command(short_help="Train on NumPy and on a GPU side by side, and compare.")(parity)
app.command(short_help="Time each layer's passes beside what the device can do.")(profile)
app.command(short_help="Find the fastest kernels for a network on this GPU.")(tune)
app.add_typer(data.app, name="data")
