"""Steps of optimizers: the reference's arithmetic, and its bits, chunk by chunk, in threads.

A chunk of each array stays in the cache through all of a step's operations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gpucnn import ops
from gpucnn.backend import Array
from gpucnn.cpu.blocks import over, require_float32
from gpucnn.dispatch import NotApplicable

CHUNK = 1 << 15
"""Numbers that are updated at a time: four arrays of so many are half a second-level cache."""


def sgd_update(value: Array, grad: Array, velocity: Array | None, **options: Any) -> None:
    """Take one step of stochastic gradient descent, in place."""
    _in_chunks(inspect.unwrap(ops.sgd_update), [value, grad, velocity], options)


def adam_update(value: Array, grad: Array, mean: Array, square: Array, **options: Any) -> None:
    """Take one step of Adam or AdamW, in place."""
    _in_chunks(inspect.unwrap(ops.adam_update), [value, grad, mean, square], options)


def _in_chunks(update: Callable[..., None], arrays: list[Array | None], options: dict[str, Any]) -> None:
    """Call update(*arrays, **options), which works element by element and in place, on chunks of all arrays."""
    require_float32(*arrays)
    if not all(array is None or array.flags.c_contiguous for array in arrays):
        raise NotApplicable("contiguous arrays only")
    rows = [None if array is None else array.reshape(-1) for array in arrays]

    def work(part: slice) -> None:
        update(*(None if row is None else row[part] for row in rows), **options)

    over(arrays[0].size if arrays[0] is not None else 0, work, CHUNK)
