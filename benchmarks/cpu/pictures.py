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
    base = Grown()
    rest = f"where nothing else is said: {base.batch} images of {base.size}x{base.size}, {base.depth} convolutions, "
    rest += f"{base.channels} channels"
    files = [folder / "growth-time.png", folder / "growth-memory.png"]
    _figure(found, files[0], "Time of one image (ms)", rest, TIMES, POWERS)
    _figure(found, files[1], "Memory of one image (MiB)", rest, MEMORY, MEMORY_POWERS)
    return files


def _figure(
    found: Mapping[str, Sequence[Point]],
    path: Path,
    title: str,
    rest: str,
    lines: Sequence[Line],
    powers: Mapping[str, int],
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 7.4), dpi=150, layout="constrained", facecolor="white")
    figure.suptitle(f"{title}, {rest}", x=0.012, ha="left", fontsize=10.5, fontweight="bold", color=INK)
    panels: Any = figure.subplots(2, 2).flat
    for axes, (axis, points) in zip(panels, found.items(), strict=False):
        _panel(axes, axis, points, lines, powers[axis])
    for axes in list(figure.axes)[len(found) :]:
        axes.set_visible(False)
    figure.savefig(path, metadata={"Software": None})


def _panel(axes: Axes, axis: str, points: Sequence[Point], lines: Sequence[Line], power: int) -> None:
    """Draw one panel with logarithmic axes, each line named at its end, and growth in proportion in grey."""
    x = [point.value for point in points]
    for line in lines:
        y = [line.of(point) for point in points]
        axes.plot(x, y, color=line.color, linewidth=1.8, marker="o", markersize=3.4, label=line.name, zorder=3)
        proportional = [y[-1] * (value / x[-1]) ** power for value in x]
        label = {0: "no growth", 1: "in proportion", 2: "with the square"}[power]
        axes.plot(x, proportional, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=2, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
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
    handles, names = axes.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), frameon=False, fontsize=8.5, labelcolor=INK)


def _none() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _some() -> Any:
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=(1.0, 2.0, 5.0), numticks=20)
