"""How work is cut: by shapes alone, so that results do not depend on the number of threads."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.dispatch import NotApplicable

LANES = 16
"""Into how many parts a sum over blocks is cut at most: no more threads can share in it."""

EVEN = 4
"""Of what the number of blocks is a multiple, where it is larger than two: so that threads end at the same time."""

LANE_BYTES = 1 << 26
"""How much memory the parts of one sum may take together."""

CHUNK = 1 << 18
"""Numbers of an elementwise operation that are computed at a time: enough for waking another thread to pay."""


def require_float32(*arrays: Array | None) -> None:
    """Raise NotApplicable unless all arrays are float32."""
    for array in arrays:
        if array is not None and array.dtype != np.float32:
            raise NotApplicable(f"float32 only, not {array.dtype}")


def slices(count: int, each: float, target: int) -> list[slice]:
    """Return `count` things in slices of about equal length, whose cost of `each` a thing comes to `target` at most.

    Their number is 1, 2 or a multiple of 4, where there are so many things: of three slices, one of two threads would
    compute two while the other waits.

    >>> slices(10, each=100, target=350)
    [slice(0, 2, None), slice(2, 5, None), slice(5, 7, None), slice(7, 10, None)]
    """
    pieces = math.ceil(count * each / target)
    pieces = max(1, min(count, pieces if pieces <= 2 else -(-pieces // EVEN) * EVEN))
    bounds = [i * count // pieces for i in range(pieces + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)] if count else []


def over(count: int, work: Callable[[slice], object], chunk: int = CHUNK) -> None:
    """Call work(slice) for slices that together are 0 .. count - 1."""
    cut = slices(count, 1, chunk)
    run(lambda i: work(cut[i]), len(cut))


def summed(add: Callable[[int, Array], None], count: int, shape: Shape) -> Array:
    """Return the sum over i = 0 .. count - 1 of what add(i, total) adds to a total of this shape.

    Lane l adds blocks l, l + lanes, l + 2 lanes and so on, one after the other; then the lanes are added in order.
    """
    size = math.prod(shape)
    lanes = max(1, min(count, LANES, LANE_BYTES // max(1, 4 * size)))
    parts, total = empty((lanes, *shape)), empty(shape)

    def lane(number: int) -> None:
        parts[number] = 0
        for i in range(number, count, lanes):
            add(i, parts[number])

    run(lane, lanes)
    rows, result = parts.reshape(lanes, size), total.reshape(size)
    over(size, lambda part: np.add.reduce(rows[:, part], axis=0, out=result[part]), CHUNK // lanes)
    return total
