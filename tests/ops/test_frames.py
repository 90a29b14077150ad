"""Frames drawn for images, against plain loops: to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import frames as oracle

from gpucnn import ops
from gpucnn.frames import Draw
from gpucnn.random import Stream

DRAWS: list[dict[str, Any]] = [
    {"rows": 9, "columns": 7, "frame": {"top": -4, "left": -3, "border": "reflect"}},
    {"rate": 0.3},
    {"rows": 32, "columns": 30, "hides": True, "frame": {"fill": 9, "from_row": -4, "to_row": 4, "to_column": 3}},
    {"rows": 2**31 - 1, "columns": 2**31 - 1, "rate": 1.0, "frame": {"fill": 255, "border": "edge"}},
    {"rate": 2.0**-33, "frame": {"fill": 1}},
    {"rate": 0.3, "frame": {"mirrored": 1, "left": -7, "from_column": -3}},
]
"""One of each kind, and the largest and smallest numbers."""


def example(count, draws=6, seed=3, epoch=0):
    """Return arguments of draw_frames, and what plain loops make of the words that are theirs."""
    indices = np.arange(count, dtype=np.int64)[::-1] * 1000
    found = [Draw(Stream(seed, f"augment.{place}", epoch + place), **DRAWS[place]) for place in range(draws)]
    words = [draw.stream.at(indices, 2) for draw in found]
    expected = oracle.draw_frames(np.stack(words, axis=1) if words else np.zeros((count, 0, 2)), found)
    return (indices, found), expected


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (2**64 - 1, 7), (2**40 + 5, 2**31)])
def test_equals_plain_loops(seed, epoch):
    arguments, expected = example(100, seed=seed, epoch=epoch)
    np.testing.assert_array_equal(ops.draw_frames(*arguments), expected, strict=True)
    assert 0 < expected[:, 1, 2].sum() < 50 < expected[:, 5, 2].sum() < 100  # some images are mirrored, and most
    assert expected[:, 3, 2].all()


@pytest.mark.parametrize(("count", "draws"), [(0, 2), (3, 0)])
def test_none(count, draws):
    arguments, expected = example(count, draws)
    np.testing.assert_array_equal(ops.draw_frames(*arguments), expected, strict=True)
