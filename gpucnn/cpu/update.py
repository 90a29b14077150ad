"""Steps of optimizers: the reference's arithmetic, and its bits, chunk by chunk, in threads.

Compiled loops read and write each array once, where numba is installed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from gpucnn import ops
from gpucnn.backend import Array
from gpucnn.cpu.blocks import require_float32, slices
from gpucnn.cpu.compiled import module
from gpucnn.cpu.threads import run
from gpucnn.dispatch import NotApplicable
from gpucnn.ops.cast import store_copies

CHUNK = 1 << 17
"""Numbers that are updated at a time. Fewer would stay in the second-level cache; calls from Python cost more."""


def sgd_update(
    values: list[Array], grads: list[Array], velocities: list[Array] | None, decayed: Sequence[bool], **options: Any
) -> None:
    """Take one step of stochastic gradient descent, in place."""
    _in_chunks("sgd_update", [values, grads, velocities], decayed, options)


def adam_update(
    values: list[Array], grads: list[Array], means: list[Array], squares: list[Array], decayed: Sequence[bool],
    **options: Any,
) -> None:  # fmt: skip
    """Take one step of Adam or AdamW, in place."""
    _in_chunks("adam_update", [values, grads, means, squares], decayed, options)


def adagrad_update(
    values: list[Array], grads: list[Array], squares: list[Array], decayed: Sequence[bool], **options: Any
) -> None:
    """Take one step of Adagrad, in place."""
    _in_chunks("adagrad_update", [values, grads, squares], decayed, options)


def _in_chunks(name: str, lists: list[list[Array] | None], decayed: Sequence[bool], options: dict[str, Any]) -> None:
    """Call the update of this name, which works element by element and in place, on chunks of all arrays."""
    numbers, skip, unscale, copies = (options.pop(key, None) for key in ("numbers", "skip", "unscale", "copies"))
    if numbers is not None:
        raise NotApplicable("numbers that only a device knows ahead are the reference's")
    if skip is not None and skip[0]:
        return
    loops = module("update")
    update: Callable[..., None] = inspect.unwrap(getattr(ops, name)) if loops is None else getattr(loops, name)
    rows = [None if arrays is None else [_row(array) for array in arrays] for arrays in lists]
    cut = _cut(tuple(row.size for row in rows[0] or []))

    def work(number: int) -> None:
        parts = cut[number]
        chosen = [None if arrays is None else [arrays[i][part] for i, part in parts] for arrays in rows]
        if unscale is not None:
            chosen[1] = [grad / unscale[0] for grad in chosen[1] or []]
        update(*chosen, [decayed[i] for i, _ in parts], **options)

    run(work, len(cut))
    store_copies(lists[0] or [], copies)


@functools.lru_cache
def _cut(sizes: tuple[int, ...]) -> list[list[tuple[int, slice]]]:
    """Return arrays of these sizes, cut and put together to pieces of about CHUNK: (array, slice) pairs.

    >>> _cut((CHUNK + 2, 5))
    [[(0, slice(0, 65537, None))], [(0, slice(65537, 131074, None)), (1, slice(0, 5, None))]]
    """
    pieces: list[list[tuple[int, slice]]] = []
    room = 0
    for i, size in enumerate(sizes):
        for part in slices(size, 1, CHUNK):
            length = part.stop - part.start
            if length > room:
                pieces.append([])
                room = CHUNK
            pieces[-1].append((i, part))
            room -= length
    return pieces


def _row(array: Array) -> Array:
    """Return an array as a row in the same memory."""
    require_float32(array)
    if not array.flags.c_contiguous:
        raise NotApplicable("contiguous arrays only")
    return array.reshape(-1)
