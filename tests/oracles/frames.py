"""Frames drawn for images one by one, in Python's integers, from words that are given."""

from __future__ import annotations

import numpy as np


def draw_frames(words, draws) -> np.ndarray:
    """Return the frames (n, k, 9) of images. words: (n, k, 2), of each frame; draws: k of `gpucnn.frames.Draw`."""
    drawn = np.zeros((len(words), len(draws), 9), np.int32)
    for n, image in enumerate(words):
        for k, (draw, (u, v)) in enumerate(zip(draws, image, strict=True)):
            row, column = int(u) * draw.rows >> 32, int(v) * draw.columns >> 32
            numbers = [draw.frame.get(name, 0) for name in ("top", "left")]
            numbers += [int(int(u) / 2**32 < draw.rate) ^ draw.frame.get("mirrored", 0)]
            numbers += [["constant", "edge", "reflect"].index(draw.frame.get("border", "constant"))]
            numbers += [draw.frame.get(name, 0) for name in ("fill", "from_row", "to_row", "from_column", "to_column")]
            for place in [5, 6] if draw.hides else [0]:
                numbers[place] += row
            for place in [7, 8] if draw.hides else [1]:
                numbers[place] += column
            drawn[n, k] = numbers
    return drawn
