"""Progress on a terminal: the table of `Lines`, and below it a line that moves with every step."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gpucnn.training.lines import Lines, figures
from gpucnn.training.observer import Observer, StepMetrics

_BAR = 10  # the least width at which a bar says something


class Moving(Lines):
    """Lines that stay, written above one that moves. Used in `with`: on leaving, the moving line is taken away."""

    def __init__(self, console: Console) -> None:
        super().__init__(every=float("inf"))
        self._console = console
        self._live = Live(
            self, console=console, refresh_per_second=5, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._now: StepMetrics | None = None

    def __enter__(self) -> Moving:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._now = None
        self._live.stop()

    def step(self, metrics: StepMetrics) -> None:
        """Note where the epoch stands; the moving line shows it at its next refresh."""
        super().step(metrics)
        self._now = metrics

    def width(self) -> int:
        """Return the terminal's width."""
        return self._console.width

    def write(self, line: str) -> None:
        """Write one line that stays, above the one that moves."""
        self._console.print(Text(line), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = self._now
        if now is None:
            return
        parts = [f"epoch {now['epoch']}/{self._epochs}"]
        for name, text in figures(now, self.left.text()).items():
            part = f"{text} left" if name == "left" else f"{text} images/s" if name == "images/s" else f"{name} {text}"
            if sum(map(len, parts)) + 2 * len(parts) + len(part) + 2 + _BAR < options.max_width:
                parts.append(part)
        line = Table.grid(padding=(0, 2, 0, 0), expand=True)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        bar = ProgressBar(total=now["batches"], completed=now["batch"])
        line.add_row(Text(parts[0]), bar, Text("  ".join(parts[1:])))
        yield line


@contextmanager
def progress(quiet: bool) -> Iterator[Observer]:
    """Yield what shows progress on this stderr: a moving line on a terminal, else plain lines; nothing where quiet."""
    console = Console(file=sys.stderr, highlight=False)
    if quiet:
        yield Observer()
    elif console.is_terminal and not console.is_dumb_terminal:
        with Moving(console) as moving:
            yield moving
    else:
        yield Lines()
