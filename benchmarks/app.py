"""The commands, put together. What a command needs is imported when it runs: see `benchmarks.processes`."""

from __future__ import annotations

import typer

from benchmarks.commands.accuracy import accuracy
from benchmarks.commands.accuracy_time import accuracy_time
from benchmarks.commands.cpu import cpu
from benchmarks.commands.digits import digits
from benchmarks.commands.everything import everything
from benchmarks.commands.floors import floors
from benchmarks.commands.gpu import gpu
from benchmarks.commands.growth import growth
from benchmarks.commands.memory import memory
from benchmarks.commands.speed import speed
from benchmarks.commands.start import start
from benchmarks.commands.textbook import textbook

app = typer.Typer(
    help="Measure gpucnn: a table on stdout, all numbers as JSON in benchmarks/results/.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.command()(digits)
app.command()(accuracy)
app.command()(accuracy_time)
app.command()(speed)
app.command()(cpu)
app.command()(textbook)
app.command()(growth)
app.command()(start)
app.command()(memory)
app.command()(gpu)
app.command()(floors)
app.command("all")(everything)
