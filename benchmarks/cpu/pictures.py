"""How cost grows, drawn: one panel for each thing that grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cpu.growth import Grown, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, GRID = "#222222", "#6b7280", "#e5e7eb"
TITLES = {
    "batch": "Batch size",
    "size": "Image height and width",
    "channels": "Channels of every layer",
    "depth": "Convolutions",
}
POWERS = {"batch": 0, "size": 2, "channels": 2, "depth": 1}
"""With which power of the value the operations of an image grow."""
MEMORY_POWERS = {"batch": 0, "size": 2, "channels": 1, "depth": 1}
"""And the bytes of an image's activations."""


@dataclass(frozen=True)
class Line:
    """A line of a panel: what it is called, its colour, and a point's number."""

    name: str
    color: str
    of: Callable[[Point], float]


TIMES = [
    Line("training step", "#1d4ed8", lambda p: 1e3 * p.step_seconds),
    Line("evaluation", "#d97706", lambda p: 1e3 * p.evaluate_seconds),
]
MEMORY = [Line("peak of a training step", "#1d4ed8", lambda p: p.peak_bytes / 2**20)]


def draw(found: Mapping[str, Sequence[Point]], folder: Path) -> list[Path]:
    """Draw time and memory of an image; return the two files, growth-time.png and growth-memory.png in the folder."""
    files = [folder / "growth-time.png", folder / "growth-memory.png"]
    _figure(found, files[0], "Time of one image (ms)", TIMES, POWERS, "as its operations grow")
    _figure(found, files[1], "Memory of one image (MiB)", MEMORY, MEMORY_POWERS, "as its activations grow")
    return files


def _figure(
    found: Mapping[str, Sequence[Point]],
    path: Path,
    title: str,
    lines: Sequence[Line],
    powers: Mapping[str, int],
    proportion: str,
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 7.6), dpi=150, layout="constrained", facecolor="white")
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    panels: Any = figure.subplots(2, 2, gridspec_kw={"hspace": 0.08})
    for axes, (axis, points) in zip(panels.flat, found.items(), strict=False):
        _panel(axes, axis, points, lines, powers[axis])
    for axes in list(figure.axes)[len(found) :]:
        axes.set_visible(False)
    handles = [*figure.axes[0].get_lines()[::2], figure.axes[0].get_lines()[1]]
    names = [*(line.name for line in lines), proportion]
    figure.legend(handles, names, loc="outside lower left", ncols=3, frameon=False, fontsize=10, labelcolor=INK)
    base = Grown()
    rest = (
        f"otherwise {base.batch} images of {base.size}x{base.size}, {base.depth} convolutions, {base.channels} channels"
    )
    figure.text(0.99, 0.012, rest, ha="right", fontsize=9, color=FAINT)
    figure.savefig(path, metadata={"Software": None})


def _panel(axes: Axes, axis: str, points: Sequence[Point], lines: Sequence[Line], power: int) -> None:
    """Draw one panel: each line, and through its last point the one that it would be in proportion."""
    x = [point.value for point in points]
    for line in lines:
        y = [line.of(point) for point in points]
        axes.plot(x, y, color=line.color, linewidth=1.8, marker="o", markersize=3.4, zorder=3)
        proportional = [y[-1] * (value / x[-1]) ** power for value in x]
        axes.plot(x, proportional, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    widen = max(1.0, (10 / (high / low)) ** 0.5)  # at least a decade, so that what hardly changes looks flat
    axes.set_ylim(low / widen, high * widen)
    axes.set_xticks(x, [str(value) for value in x], fontsize=8.5)
    axes.xaxis.set_minor_locator(_none())
    axes.yaxis.set_major_locator(_some())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_locator(_none())
    axes.set_title(TITLES[axis], loc="left", fontsize=11, color=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(which="both", length=0, labelcolor=FAINT)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _none() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _some() -> Any:
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=(1.0, 2.0, 5.0), numticks=20)
