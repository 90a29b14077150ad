"""Frames drawn for images by the kernel in frames.cu."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.constants import constant
from gpucnn.cuda.launch import blocks, launch
from gpucnn.frames import FIELDS, Draw


def draw_frames(indices: Array, draws: Sequence[Draw]) -> Array:
    """Return the frames of images, int32 (n, k, 9)."""
    drawn: Array = array_module(indices).empty((len(indices), len(draws), len(FIELDS)), np.int32)
    table = constant(np.array([draw.numbers() for draw in draws], np.int64), like=indices)
    count = len(indices) * len(draws)
    launch(
        "draw_frames", blocks(count), indices=indices, draws=table, frames=drawn, count=count, changes=len(draws)
    )  # fmt: skip
    return drawn
