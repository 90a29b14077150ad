"""Frames drawn for images, against plain loops: to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import frames as oracle

from gpucnn import ops
from gpucnn.frames import Draw
from gpucnn.random import Stream

DRAWS = [
    Draw(9, 7, frame={"top": -4, "left": -3, "border": "reflect"}),
    Draw(rate=0.3),
    Draw(32, 30, hides=True, frame={"fill": 200, "from_row": -4, "to_row": 4, "from_column": -3, "to_column": 3}),
    Draw(2**31 - 1, 2**31 - 1, rate=1.0, frame={"fill": 255, "border": "edge"}),
    Draw(rate=2.0**-33, frame={"fill": 1}),
]
"""One of each kind, and the largest and smallest numbers."""

PURPOSES = [f"augment.{place}" for place in range(len(DRAWS))]


def example(count, draws=5, seed=3, epoch=0):
    """Return arguments of draw_frames, and what plain loops make of the words that are theirs."""
    indices = np.arange(count, dtype=np.int64)[::-1] * 1000
    words = [Stream(seed, purpose, epoch).at(indices, 2) for purpose in PURPOSES[:draws]]
    expected = oracle.draw_frames(np.stack(words, axis=1) if words else np.zeros((count, 0, 2)), DRAWS[:draws])
    return (indices, DRAWS[:draws], PURPOSES[:draws], seed, epoch), expected


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (2**64 - 1, 7), (2**40 + 5, 2**31)])
def test_equals_plain_loops(seed, epoch):
    arguments, expected = example(100, seed=seed, epoch=epoch)
    np.testing.assert_array_equal(ops.draw_frames(*arguments), expected, strict=True)
    assert 0 < expected[:, 1, 2].sum() < 100  # some images are mirrored
    assert expected[:, 3, 2].all()


@pytest.mark.parametrize(("count", "draws"), [(0, 2), (3, 0)])
def test_none(count, draws):
    arguments, expected = example(count, draws)
    np.testing.assert_array_equal(ops.draw_frames(*arguments), expected, strict=True)
