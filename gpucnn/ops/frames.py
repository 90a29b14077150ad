"""Frames drawn for images, where they are: what augmentations do to them in an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation
from gpucnn.frames import FIELDS, Draw
from gpucnn.random import Stream


@operation
def draw_frames(indices: Array, draws: Sequence[Draw], purposes: Sequence[str], seed: int, epoch: int) -> Array:
    """Return the frames of images, int32 (n, k, 9): the k-th is drawn from Stream(seed, purposes[k], epoch).

    indices: (n,), int64, where each image stands in its data set. draws, purposes: k of each.

    >>> draw_frames(np.array([7]), [Draw(rate=1.0)], ["flip"], seed=0, epoch=0).tolist()
    [[[0, 0, 1, 0, 0, 0, 0, 0, 0]]]
    """
    xp = array_module(indices)
    drawn: Array = xp.empty((len(indices), len(draws), len(FIELDS)), np.int32)
    for k, (draw, purpose) in enumerate(zip(draws, purposes, strict=True)):
        drawn[:, k] = draw.frames(Stream(seed, purpose, epoch).at(indices, 2, xp), xp)
    return drawn
