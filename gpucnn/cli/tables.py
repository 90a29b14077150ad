"""Tables as plain text: the same on a terminal, in a pipe and in a file, never cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows below their heads, columns aligned: numbers to the right, all else to the left.

    A column is one of numbers where every cell of it begins with a digit or says `-`.

    >>> print(table(["name", "images"], [["digits", "1,797"], ["all", "-"]]))
    name    images
    digits   1,797
    all          -
    """
    columns = list(zip(heads, *rows, strict=True))
    aligned = []
    for column in columns:
        width = max(map(len, column))
        right = all(cell[:1].isdigit() or cell == "-" for cell in column[1:])
        aligned.append([cell.rjust(width) if right else cell.ljust(width) for cell in column])
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*aligned, strict=True))
