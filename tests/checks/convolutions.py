"""Convolutions that kernels are tested on: odd, prime and size-1 shapes, and what can go wrong with tiles."""

from __future__ import annotations

import numpy as np

from checks.windows import conv

CASES = {
    "one of everything": conv((1, 1, 1, 1), (1, 1, 1, 1)),
    "dense": conv((5, 1, 1, 13), (7, 1, 1, 13)),
    "3x3 same": conv((2, 7, 5, 3), (5, 3, 3, 3), padding="same"),
    "more than a block": conv((3, 11, 9, 2), (5, 3, 2, 2)),
    "stride 2": conv((2, 9, 7, 3), (4, 3, 3, 3), stride=2, padding=1),
    "stride 2 to even": conv((1, 8, 8, 2), (3, 3, 3, 2), stride=2, padding="same"),
    "stride 3 by 2": conv((1, 11, 10, 2), (3, 5, 4, 2), stride=(3, 2), padding=(2, 1)),
    "stride beyond the kernel": conv((2, 9, 8, 2), (3, 1, 2, 2), stride=(4, 3)),
    "four paddings": conv((1, 5, 4, 2), (3, 3, 2, 2), padding=((2, 0), (1, 3))),
    "padding beyond the kernel": conv((1, 3, 3, 1), (2, 2, 2, 1), padding=3),
    "dilation": conv((1, 9, 11, 2), (3, 3, 3, 2), dilation=(2, 3), padding=2),
    "dilation and stride, one factor": conv((1, 13, 12, 2), (3, 4, 3, 2), stride=(4, 2), dilation=(2, 4), padding=3),
    "dilation prime to stride": conv((1, 13, 14, 1), (2, 3, 4, 1), stride=(2, 3), dilation=(3, 2), padding=(1, 2)),
    "kernel as large as the image": conv((3, 5, 4, 3), (7, 5, 4, 3)),
    "groups": conv((2, 5, 6, 6), (9, 3, 2, 2), groups=3, stride=(1, 2), padding=1),
    "depthwise": conv((2, 7, 6, 5), (5, 3, 3, 1), groups=5, padding=1),
    "depthwise times 3, stride 2": conv((1, 7, 9, 3), (9, 3, 2, 1), groups=3, stride=2, padding=((1, 2), (0, 1))),
    "depthwise, strided": conv((1, 9, 8, 2), (4, 3, 3, 1), groups=2, stride=(2, 3), dilation=(3, 2), padding=2),
    "no images": conv((0, 5, 5, 2), (3, 3, 3, 2)),
}

TILED = {
    "fours": conv((2, 5, 7, 8), (12, 3, 3, 8), padding=1),
    "more than a tile": conv((3, 7, 9, 4), (68, 2, 1, 4)),
    "rows beyond the last tile": conv((1, 13, 11, 20), (5, 1, 1, 20)),
    "fours in groups, stride 2": conv((1, 8, 9, 8), (16, 3, 2, 4), groups=2, stride=2, padding=1),
}
TILED |= {
    name: CASES[name]
    for name in (
        "stride 3 by 2",
        "stride beyond the kernel",
        "four paddings",
        "dilation and stride, one factor",
        "kernel as large as the image",
        "groups",
        "no images",
    )
}
"""Channels by fours, and more rows, columns or terms than a tile has."""


def off_by_one(array: np.ndarray) -> np.ndarray:
    """Return a copy that starts one element behind a multiple of 16 bytes."""
    memory = np.zeros(array.size + 16, array.dtype)
    start = (-memory.ctypes.data % 16) // array.itemsize + 1
    view = memory[start : start + array.size].reshape(array.shape)
    view[...] = array
    return view
