"""What compiled convolutions read and write: images as numbers in a row, with padding where it is asked for."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.compiled.vectors import clear, copy


def flat(x: Array) -> tuple[Array, tuple[int, ...]]:
    """Return the numbers of float32 images, those between them included, as one row, and strides that count numbers."""
    strides = tuple(stride // x.itemsize for stride in x.strides)
    if x.flags.c_contiguous:
        return x.reshape(-1), strides
    span = 1 + sum((length - 1) * stride for length, stride in zip(x.shape, strides, strict=True)) if x.size else 0
    return np.lib.stride_tricks.as_strided(x, (span,), (x.itemsize,)), strides


@compiled
def hold(x: Array, size: Shape, image: int, top: int, left: int, held: Array, rows: int, columns: int) -> None:
    """Write rows of one of the images x (N, H, W, C) to held (rows, columns, C); size: H, W and C.

    The image begins at row `top` and column `left`, which may be negative; around it are zeros.
    """
    height, width, c = size
    begin, end = min(columns, max(0, left)), max(0, min(columns, left + width))
    for row in range(rows):
        here, there = row * columns * c, row - top
        if 0 <= there < height and begin < end:
            clear(held, here, begin * c)
            copy(x, ((image * height + there) * width + begin - left) * c, held, here + begin * c, (end - begin) * c)
            clear(held, here + end * c, (columns - end) * c)
        else:
            clear(held, here, columns * c)
