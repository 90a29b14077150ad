"""Frames drawn for images by the kernel in frames.cu."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.constants import constant
from gpucnn.cuda.launch import blocks, launch
from gpucnn.frames import FIELDS, Draw


def draw_frames(indices: Array, draws: Sequence[Draw], purposes: Sequence[str], seed: int, epoch: int) -> Array:
    """Return the frames of images, int32 (n, k, 9)."""
    drawn: Array = array_module(indices).empty((len(indices), len(draws), len(FIELDS)), np.int32)
    table = [draw.numbers(purpose) for draw, purpose in zip(draws, purposes, strict=True)]
    count = len(indices) * len(draws)
    launch(
        "draw_frames", blocks(count), indices=indices, draws=constant(np.array(table, np.int64), like=indices),
        frames=drawn, count=count, changes=len(draws), seed_low=seed & 0xFFFFFFFF, seed_high=seed >> 32 & 0xFFFFFFFF,
        epoch=epoch,
    )  # fmt: skip
    return drawn
