"""Rows of an image with its padding, in an order in which strides are runs of numbers.

planes (rows, stride, columns * C): plane t of a row holds its columns t, t + stride, t + 2 stride and so on, so that
what one tap of a kernel meets, for all outputs of a row, lies side by side. Images are (H, W * C).
"""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.memory import empty
from gpucnn.ops.window import Window

BYTES = 1 << 19
"""How large those rows of an image are that are laid out at a time: they stay in the second-level cache."""


def planes_of(window: Window, channels: int) -> Array:
    """Return memory for as many rows of an image as are laid out at a time."""
    (sh, sw), (dh, dw), (r, s), (p, q) = window.stride, window.dilation, window.kernel, window.output
    columns, reach = q + (s - 1) * dw // sw, (r - 1) * dh + 1
    most = max(reach, BYTES // (4 * sw * columns * channels))
    return empty((min((p - 1) * sh + reach, most), sw, columns * channels))


@compiled
def place(image: Array, first: int, channels: int, stride: int, left: int, planes: Array) -> None:
    """Write the rows of an image from `first` on, `left` columns of zeros before each, to planes."""
    height, width = image.shape[0], image.shape[1] // channels
    columns = planes.shape[2] // channels
    for i in range(planes.shape[0]):
        h = first + i
        for t in range(stride):
            plane = planes[i, t]
            if h < 0 or h >= height:
                plane[:] = np.float32(0)
                continue
            begin = min(columns, max(0, -((t - left) // stride)))
            end = min(columns, max(begin, (width - 1 + left - t) // stride + 1))
            plane[: begin * channels] = np.float32(0)
            plane[end * channels :] = np.float32(0)
            if stride == 1:
                plane[begin * channels : end * channels] = image[h, (begin - left) * channels : (end - left) * channels]
                continue
            for q in range(begin, end):
                of = (q * stride + t - left) * channels
                seen, to = image[h, of : of + channels], plane[q * channels : (q + 1) * channels]
                for z in range(channels):
                    to[z] = seen[z]


@compiled
def take(planes: Array, top: int, left: int, channels: int, image: Array) -> None:
    """Write planes, without their padding, to an image (H, W * C); zeros where they do not reach."""
    stride, columns = planes.shape[1], planes.shape[2] // channels
    for h in range(len(image)):
        row = image[h]
        if h + top >= len(planes):
            row[:] = np.float32(0)
            continue
        for w in range(row.size // channels):
            to, q = w * channels, (w + left) // stride
            plane = planes[h + top, (w + left) % stride]
            if q >= columns:
                row[to : to + channels] = np.float32(0)
                continue
            for z in range(channels):
                row[to + z] = plane[q * channels + z]
