"""Pictures of a run: how loss and accuracy went, and which classes are taken for which.

Matplotlib (the extra `plots`) draws them, through `Figure` and never through pyplot, so that no window, backend or
style of the caller is touched; without it, they raise ImportError. The same numbers give the same bytes: a PNG holds
no date and no version.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpucnn.backend import Array
from gpucnn.errors import ArgumentError
from gpucnn.files import write_atomically
from gpucnn.problems import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT, _GRID = "#222222", "#6b7280", "#e5e7eb"
_COLORS = {"training": "#9ca3af", "validation": "#1d4ed8"}
_PLAIN = {"text.parse_math": False}  # a class may be called $x
_NUMBERED = 30  # from more classes on, a cell is too small to hold a readable count


def training_curve(rows: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], *, title: str = "") -> None:
    """Draw loss and accuracy of every epoch, training and validation, as a PNG 1440 pixels wide.

    rows: one mapping an epoch, as metrics.jsonl holds them: `epoch` (from 1), `train_loss`, `train_accuracy`,
    `validation_loss`, `validation_accuracy` (accuracies from 0 to 1). What is missing, None or not finite is left out.
    """

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _panel(left, rows, "loss", "Loss", 1.0, "{:.3g}")
        _panel(right, rows, "accuracy", "Accuracy (%)", 100.0, "{:.1f} %")
        right.set_ylim(top=min(100.5, right.get_ylim()[1]))
        if title:
            figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", color=_INK)

    _write(path, (9.6, 3.8), draw)


def confusion_matrix(matrix: Array, classes: Sequence[str], path: str | os.PathLike[str], *, title: str = "") -> None:
    """Draw how many images of each true class (rows) were taken for each class (columns), as a PNG.

    matrix: counts, integers, shape (K, K). classes: K names. A cell's colour is its share of its row; up to 30
    classes its count is written in it. Raises ArgumentError where the shapes do not fit.
    """
    K = len(classes)
    counts = np.asarray(matrix)
    if counts.shape != (K, K):
        raise ArgumentError(f"matrix (shape {counts.shape}) must be {K} x {K}, as there are {K} classes")
    side = 2.4 + (0.36 if K <= _NUMBERED else 0.1) * min(K, 110)
    _write(path, (side + 1.0, side), lambda figure: _draw_confusion(figure, counts, classes, title))


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], key: str, label: str, scale: float, form: str) -> None:
    """Draw training and validation of one measure, each named at the end of its line, with its last value."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    ends: list[tuple[float, float, str]] = []
    for series, name in (("training", f"train_{key}"), ("validation", f"validation_{key}")):
        points = [(int(r["epoch"]), float(r[name]) * scale) for r in rows if _finite(r.get(name))]
        if not points:
            continue
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=_COLORS[series], linewidth=1.8, marker="o", markersize=3.2 if len(x) <= 40 else 0)
        ends.append((x[-1], y[-1], series))
    positive = [v for line in axes.get_lines() for v in np.asarray(line.get_ydata()).tolist()]
    if key == "loss" and positive and min(positive) > 0 and max(positive) / min(positive) > 10:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(label, loc="left", fontsize=11, color=_INK)
    axes.set_xlabel("Epoch", color=_FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if max((x for x, _, _ in ends), default=1) == 1:
        axes.set_xlim(0.5, 1.5)  # the automatic limits around a single point show fractions of an epoch
    _clean(axes)
    axes.grid(True, color=_GRID, linewidth=0.8)
    _name_ends(axes, ends, form)


def _name_ends(axes: Axes, ends: Sequence[tuple[float, float, str]], form: str) -> None:
    """Write each line's name and last value beside its end, moved apart where they would overlap."""
    axes.autoscale_view()
    to_points = 72 / axes.figure.dpi
    heights = [float(axes.transData.transform((x, y))[1]) * to_points for x, y, _ in ends]
    apart = 13.0 - abs(heights[0] - heights[1]) if len(ends) == 2 else 0.0
    for i, (x, y, series) in enumerate(ends):
        up = heights[i] >= max(heights) and not (i and heights[0] == heights[1])
        axes.annotate(
            f"{series} {form.format(y)}",
            (x, y),
            xytext=(7, max(0.0, apart) / 2 * (1 if up else -1)),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=_COLORS[series] if series == "validation" else _FAINT,
            annotation_clip=False,
        )


def _draw_confusion(figure: Figure, counts: Array, classes: Sequence[str], title: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    K = len(classes)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 100
    axes = figure.subplots()
    shades = LinearSegmentedColormap.from_list("blues", ["#ffffff", "#dbeafe", "#93c5fd", "#3b82f6", "#1e3a8a"])
    # The square root lifts the few per cent of mistakes out of the white, which a linear scale would drown them in.
    image = axes.imshow(share, cmap=shades, norm=PowerNorm(0.5, 0, 100), interpolation="nearest")
    size = 9 if K <= 12 else 8 if K <= _NUMBERED else 4.8
    names = list(map(printable, classes))
    upright = K > 12 or max(map(len, names)) > 5
    axes.set_xticks(range(K), names, rotation=90 if upright else 0, fontsize=size)
    axes.set_yticks(range(K), names, fontsize=size)
    axes.set_xticks(np.arange(K + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(K + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=_GRID, linewidth=0.8 if K <= _NUMBERED else 0.3)
    _clean(axes)
    if K <= _NUMBERED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if share[row, column] > 35 else _INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=size - 1, color=color)
    axes.set_xlabel("Predicted class", color=_FAINT)
    axes.set_ylabel("True class", color=_FAINT)
    total = int(counts.sum())
    right = f"{np.trace(counts) / total * 100:.2f} % of {total:,} images right" if total else "no images"
    axes.set_title(f"{title}: {right}" if title else right, loc="left", fontsize=11, color=_INK)
    bar = figure.colorbar(image, cax=axes.inset_axes((1.03, 0, 0.03, 1)), ticks=[0, 1, 5, 10, 25, 50, 75, 100])
    bar.set_label("Share of the true class (%)", color=_FAINT)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=_FAINT)
    bar.outline.set_visible(False)


def _clean(axes: Axes) -> None:
    """Leave of an axes' frame what helps to read it."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(which="both", length=0, labelcolor=_FAINT)
    axes.set_axisbelow(True)


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _write(path: str | os.PathLike[str], size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    """Draw a figure of `size` (inches, 150 pixels each) and put it at `path` in one move."""
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(f'{path} needs Matplotlib to be drawn: pip install "gpucnn[plots]"') from None
    buffer = io.BytesIO()
    with matplotlib.style.context(["default", _PLAIN]), warnings.catch_warnings():  # whatever the caller's style is
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # in a class's name: drawn as a box
        figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
        draw(figure)
        figure.savefig(buffer, format="png", metadata={"Software": None}, bbox_inches="tight", pad_inches=0.12)
    write_atomically(Path(path), buffer.getvalue())
