"""A batch, gathered from all images of a data set by their indices, each seen through frames, and normalised."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation
from gpucnn.frames import FIELDS, Border
from gpucnn.ops.cast import narrowed


def gather(
    images: Array, labels: Array, indices: Array, frames: Array, scale: Array, shift: Array | None,
    batch: Array | None = None, size: int | None = None, dtype: Any = None,
) -> tuple[Array, Array]:  # fmt: skip
    """Return x (n, H, W, C) and the labels (n,) of the images at `indices`, seen through frames (`gpucnn.frames`).

        x = scale p + shift       p: what the frames make of the image, the first frame first

    images: (N, H, W, C), uint8 or float32. labels: (N,), int64. indices: (n,), int64. frames: (n, k, 9), int32, k >= 0.
    scale, shift: (C,); the product is rounded before the sum. shift is None where nothing is added.
    batch: where indices and frames are of many batches of `size` images, which one it is, int32 (1,), on the device.
    dtype: that of x, by default as scale's; a half is rounded to last.

    >>> images = np.arange(6, dtype=np.uint8).reshape(2, 1, 3, 1)
    >>> mirror = np.array([[[0, 0, 1, 0, 0, 0, 0, 0, 0]]])
    >>> x, labels = gather(images, np.array([7, 8]), np.array([1]), mirror, np.array([0.5]), None)
    >>> x.ravel().tolist(), labels.tolist()
    ([2.5, 2.0, 1.5], [8])
    """
    kind = np.dtype(scale.dtype if dtype is None else dtype)
    return _gather(images, labels, indices, frames, scale, shift, batch, size, kind)


@operation
def _gather(
    images: Array, labels: Array, indices: Array, frames: Array, scale: Array, shift: Array | None,
    batch: Array | None, size: int | None, dtype: Any,
) -> tuple[Array, Array]:  # fmt: skip
    xp, (height, width) = array_module(images), images.shape[1:3]
    if batch is not None:
        own = batch[0] * size + xp.arange(size)
        indices, frames = indices[own], frames[own]
    rows = xp.broadcast_to(xp.arange(height), (len(indices), height))
    columns = xp.broadcast_to(xp.arange(width), (len(indices), width))
    covered, fills = xp.zeros((len(indices), height, width), bool), xp.zeros((len(indices), height, width), np.int32)
    for k in range(frames.shape[1] - 1, -1, -1):  # from the pixels of the last image back to those of the first
        top, left, mirrored, border, fill, *hidden = (frames[:, k, i, None] for i in range(len(FIELDS)))
        from_row, to_row, from_column, to_column = hidden
        hides = _both((from_row <= rows) & (rows < to_row), (from_column <= columns) & (columns < to_column))
        moved, shifted = rows + top, xp.where(mirrored != 0, width - 1 - columns, columns) + left
        rows, columns = _inside(moved, height, border), _inside(shifted, width, border)
        covers = (hides | ((border == 0)[:, :, None] & ~_both(rows == moved, columns == shifted))) & ~covered
        fills = xp.where(covers, fill[:, :, None], fills)
        covered = covered | covers
    pixels = images[indices[:, None, None], rows[:, :, None], columns[:, None, :]].astype(scale.dtype)
    x = xp.where(covered[..., None], fills[..., None].astype(scale.dtype), pixels) * scale
    return narrowed(x if shift is None else x + shift, dtype), labels[indices]


def _both(rows: Array, columns: Array) -> Array:
    """Return for each pixel whether its row is among `rows` (n, H) and its column among `columns` (n, W)."""
    both: Array = rows[:, :, None] & columns[:, None, :]
    return both


def _inside(at: Array, size: int, border: Array) -> Array:
    """Return the places on an axis of `size` pixels whose pixels stand at places that may lie beyond its ends."""
    xp = array_module(at)
    mirrored = xp.where(at < 0, -at, xp.where(at >= size, 2 * (size - 1) - at, at))
    places: Array = xp.clip(xp.where(border == get_args(Border).index("reflect"), mirrored, at), 0, size - 1)
    return places
