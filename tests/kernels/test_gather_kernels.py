"""The kernels that gather a batch from a data set: the bits of plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from ops import test_frames
from ops.test_gather import SHAPES, example
from oracles import gather as oracle

from gpucnn import dispatch, ops
from gpucnn.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("on_kernels")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("image_dtype", "shifted"), [("uint8", True), ("float32", True), ("uint8", False)])
def test_equals_plain_loops(image_dtype, shifted, dtype):
    for shape in SHAPES:
        for changes in (0, 1, 4):
            arguments = example(shape, changes, image_dtype, dtype, shifted)
            for found, expected in zip(ops.gather(*arguments), oracle.gather(*arguments), strict=True):
                np.testing.assert_array_equal(found, expected, strict=True)


def test_one_of_many_batches():
    """Which one is read from the device, by the kernel and by the reference."""
    images, labels, indices, drawn, scale, shift = example((5, 2, 1), 2, "uint8", "float32", True)
    size, number = len(indices) // 3, np.array([2], np.int32)
    part = slice(2 * size, 3 * size)
    expected = oracle.gather(images, labels, indices[part], drawn[part], scale, shift)
    for impl in ("fast", "reference"):
        with dispatch.using(impl):
            given = (images, labels, indices, drawn, scale, shift, number, size)
            for found, wanted in zip(ops.gather(*given), expected, strict=True):
                np.testing.assert_array_equal(found, wanted, strict=True)


@pytest.mark.parametrize(("count", "draws", "seed", "epoch"), [(0, 2, 3, 0), (3, 0, 3, 0), (60, 6, 2**64 - 1, 7)])
def test_frames_are_drawn_as_by_plain_loops(count, draws, seed, epoch):
    arguments, expected = test_frames.example(count, draws, seed, epoch)
    np.testing.assert_array_equal(ops.draw_frames(*arguments), expected, strict=True)


def test_no_images():
    images, labels, indices, drawn, scale, shift = example((3, 2, 1), 1, "uint8", "float32", True)
    x, own = ops.gather(images, labels, indices[:0], drawn[:0], scale, shift)
    assert (x.shape, own.shape) == ((0, 3, 2, 1), (0,))


def test_images_of_another_type_are_left_to_the_reference():
    images, *rest = example((3, 2, 1), 1, "uint8", "float32", True)
    with pytest.raises(ArgumentError, match="gather has to run by the reference: images of uint8 or float32 only"):
        ops.gather(images.astype(np.int16), *rest)
