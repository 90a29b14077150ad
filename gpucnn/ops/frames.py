"""Frames drawn for images, where they are: what augmentations do to them in an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation
from gpucnn.frames import FIELDS, Draw


@operation
def draw_frames(indices: Array, draws: Sequence[Draw]) -> Array:
    """Return the frames of images, int32 (n, k, 9), one for each of k draws.

    indices: (n,), int64, where each image stands in its data set.

    >>> from gpucnn.random import Stream
    >>> draw_frames(np.array([7]), [Draw(Stream(0, "flip"), rate=1.0)]).tolist()
    [[[0, 0, 1, 0, 0, 0, 0, 0, 0]]]
    """
    xp = array_module(indices)
    drawn: Array = xp.empty((len(indices), len(draws), len(FIELDS)), np.int32)
    for k, draw in enumerate(draws):
        drawn[:, k] = draw.frames(indices, xp)
    return drawn
