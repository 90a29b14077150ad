"""Tables as plain text: the same on a terminal, in a pipe and in a file, never cut."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from gpucnn.problems import path as as_text
from gpucnn.problems import printable


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows below their heads, columns aligned: numbers to the right, all else to the left.

    A column is one of numbers where every cell of it begins with a digit, a minus before it or not, or says `-`.
    Control characters, which a class's or a file's name may hold, are shown escaped, and wide characters (East Asian
    ones) count twice.

    >>> print(table(["name", "images"], [["digits", "1,797"], ["all", "-"]]))
    name    images
    digits   1,797
    all          -
    """
    aligned = []
    for column in zip(heads, *rows, strict=True):
        cells = list(map(printable, column))
        width = max(map(_width, cells))
        right = all(cell.removeprefix("-")[:1].isdigit() or cell == "-" for cell in cells[1:])
        blanks = [" " * (width - _width(cell)) for cell in cells]
        aligned.append([b + c if right else c + b for b, c in zip(blanks, cells, strict=True)])
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*aligned, strict=True))


def labels(paths: list[str]) -> list[str]:
    """Return each layer's place below that of the layer it is inside of, indented.

    >>> labels(["0.residual", "0.residual.layers.0.relu"])
    ['model[0].residual', '  layers[0].relu']
    """
    found: list[str] = []
    outer: list[str] = []
    for path in paths:
        while outer and not path.startswith(f"{outer[-1]}."):
            outer.pop()
        inside = path.removeprefix(f"{outer[-1]}.") if outer else f"model.{path}"
        parts = tuple(int(part) if part.isdecimal() else part for part in inside.split("."))
        found.append("  " * len(outer) + as_text(parts))
        outer.append(path)
    return found


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)
