"""Batches gathered from all images of a data set, against plain loops: to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from checks.calls import some_frames
from oracles import gather as oracle

from gpucnn import ops
from gpucnn.frames import FIELDS, frames

SHAPES = [(1, 1, 1), (5, 4, 3), (3, 7, 2), (1, 9, 1), (11, 1, 5)]


def example(shape, changes, image_dtype, dtype, shifted):
    """Return arguments of gather: of seven images, five are seen through random frames, one of them twice."""
    rng = np.random.default_rng(sum(shape) + changes)
    images = rng.integers(0, 256, (7, *shape)).astype(image_dtype)
    indices = np.array([6, 0, 3, 3, 5])
    drawn = np.zeros((len(indices), changes, len(FIELDS)), np.int32)
    for k in range(changes):
        drawn[:, k] = some_frames(rng, len(indices), shape)
    scale, shift = (rng.standard_normal(shape[2]).astype(dtype) for _ in range(2))
    return images, rng.integers(0, 10, 7), indices, drawn, scale, shift if shifted else None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("image_dtype", "shifted"), [("uint8", True), ("float32", True), ("uint8", False)])
@pytest.mark.parametrize("changes", [0, 1, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_plain_loops(shape, changes, image_dtype, shifted, dtype):
    arguments = example(shape, changes, image_dtype, dtype, shifted)
    for found, expected in zip(ops.gather(*arguments), oracle.gather(*arguments), strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)


def test_worked_example():
    """Mirrored, then moved up by one beyond a border of 9s, then a pixel hidden by 7."""
    images = np.array([[1, 2], [3, 4]], np.uint8).reshape(1, 2, 2, 1)
    drawn = [
        frames(1, mirrored=1),
        frames(1, top=1, fill=9),
        frames(1, fill=7, from_row=0, to_row=1, from_column=1, to_column=2),
    ]
    x, _ = ops.gather(images, np.array([0]), np.array([0]), np.stack(drawn, axis=1), np.ones(1), None)
    np.testing.assert_array_equal(x[0, :, :, 0], [[4, 7], [9, 9]])
