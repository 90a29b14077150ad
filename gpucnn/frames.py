"""Frames: what augmentations do to images, as numbers; and how they are drawn, so that a kernel can draw them, too.

A frame says for one image how another one is taken from it:

    y[i, j] = fill where (i, j) is hidden, else x[i + top, j' + left], where j' = W - 1 - j if mirrored, else j

Beyond the image's borders x is `fill`, its outermost pixel again, or the image mirrored at its outermost pixels. Random
crops, flips and patches that are cut out are frames, and so is what they make one after the other a list of frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from gpucnn.backend import Array
from gpucnn.random import Stream, below

Border = Literal["constant", "edge", "reflect"]
"""What is beyond an image's borders."""

FIELDS = ("top", "left", "mirrored", "border", "fill", "from_row", "to_row", "from_column", "to_column")
"""The numbers of a frame; hidden are the rows from `from_row` to before `to_row`, and likewise the columns of them."""


def frames(count: int, *, border: Border = "constant", xp: Any = np, **fields: Any) -> Array:
    """Return the frames of `count` images, int32 of shape (count, 9): each of `FIELDS` a number or an array, else 0.

    >>> frames(2, top=[-1, 1], border="edge").tolist()
    [[-1, 0, 0, 1, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0, 0, 0, 0]]
    """
    found: Array = xp.zeros((count, len(FIELDS)), np.int32)
    for name, values in (fields | {"border": get_args(Border).index(border)}).items():
        found[:, FIELDS.index(name)] = values
    return found


@dataclass(frozen=True)
class Draw:
    """How a frame is drawn for an image, by the first two of its random words in a stream, u and v.

        row, column = floor(u rows / 2^32), floor(v columns / 2^32)

    rows, columns: in how many places it can be. hides: whether these are places of what is hidden; else they are those
    where the image begins. rate: where u < rate 2^32, it is mirrored if it is not otherwise. frame: it at place 0, 0:
    what `frames` takes.

    >>> crop = Draw(Stream(0, "crop"), rows=3, columns=5, frame={"top": -1, "left": -2})
    >>> crop.frames(np.array([6, 7]))[:, :2].tolist()
    [[-1, -2], [1, 2]]
    """

    stream: Stream
    rows: int = 1
    columns: int = 1
    rate: float = 0.0
    hides: bool = False
    frame: Mapping[str, Any] = field(default_factory=dict)

    def words(self, indices: Array, xp: Any = np) -> Array:
        """Return the words of the images that stand at `indices` in their data set: (n, 2)."""
        return self.stream.at(indices, 2, xp)

    def places(self, words: Array) -> tuple[Array, Array]:
        """Return the row and the column of each image."""
        return below(words[:, 0], self.rows), below(words[:, 1], self.columns)

    def mirrored(self, words: Array) -> Array:
        """Return which images are mirrored."""
        mirrored: Array = (words[:, 0] < self.rate * 2.0**32) != bool(self.frame.get("mirrored", False))
        return mirrored

    def frames(self, indices: Array, xp: Any = np) -> Array:
        """Return each image's frame, int32 (n, 9)."""
        words = self.words(indices, xp)
        rows, columns = self.places(words)
        hidden = {"from_row": rows, "to_row": rows, "from_column": columns, "to_column": columns}
        moved = hidden if self.hides else {"top": rows, "left": columns}
        placed = {name: self.frame.get(name, 0) + values for name, values in moved.items()}
        return frames(len(words), xp=xp, **{**self.frame, **placed, "mirrored": self.mirrored(words)})

    def numbers(self) -> list[int]:
        """Return what a kernel draws by: the structure Draw of frames.cu."""
        chance = math.ceil(self.rate * 2.0**32)  # an integer is below it where it is below the product
        s, frame = self.stream, frames(1, **self.frame)[0].tolist()
        drawn = [self.rows, self.columns, chance, int(self.hides)]
        return [*frame, *drawn, s.seed & 0xFFFFFFFF, s.seed >> 32 & 0xFFFFFFFF, s.step, s.number]
