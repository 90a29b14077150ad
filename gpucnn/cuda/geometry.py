"""A window's geometry as kernels take it: the structure Window of window.cuh."""

from __future__ import annotations

from math import gcd
from typing import NamedTuple, Protocol

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cuda.sources import structures


class Window(Protocol):
    """What is needed of `gpucnn.ops.window.Window`: every field is (height, width)."""

    @property
    def kernel(self) -> tuple[int, int]:
        """R, S."""

    @property
    def stride(self) -> tuple[int, int]:
        """The distance of neighbouring outputs' windows."""

    @property
    def dilation(self) -> tuple[int, int]:
        """The distance of neighbouring taps."""

    @property
    def pads(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((top, bottom), (left, right))."""

    @property
    def output(self) -> tuple[int, int]:
        """P, Q."""


class Whole(NamedTuple):
    """A window that is as large as the image."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    output: tuple[int, int] = (1, 1)


def geometry(x_shape: Shape, outputs: int, window: Window, groups: int = 1) -> Array:
    """Return the structure Window for images of `x_shape` (N, H, W, C) and K = `outputs` channels."""
    (top, _), (left, _) = window.pads
    steps = [s // gcd(s, d) for s, d in zip(window.stride, window.dilation, strict=True)]
    sizes = (*x_shape, outputs, *window.kernel, *window.output, groups)
    return np.array((*sizes, *window.stride, *window.dilation, top, left, *steps), structures()["Window"])
