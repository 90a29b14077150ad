"""The geometry of a window that slides over an image: shared by convolution and pooling.

Along one direction, with input size H, kernel size R, stride s, dilation d and padding (top, bottom):
output i sees inputs i*s + r*d - top for r = 0 .. R - 1, and there are
P = floor((H + top + bottom - d*(R - 1) - 1) / s) + 1 outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gpucnn.arguments import check_padding
from gpucnn.backend import Array, array_module
from gpucnn.errors import ArgumentError, ShapeError

Sides = tuple[tuple[int, int], tuple[int, int]]
"""Padding as ((top, bottom), (left, right))."""

PaddingLike = int | tuple[int, int] | Sides | str
PairLike = int | tuple[int, int]


def pair(name: str, value: Any) -> tuple[int, int]:
    """Return a size given as n or (height, width) as (height, width).

    >>> pair("stride", 2)
    (2, 2)
    """
    try:
        height, width = (value, value) if not isinstance(value, (tuple, list)) else value
        if int(height) == height >= 1 and int(width) == width >= 1:
            return int(height), int(width)
    except (TypeError, ValueError):
        pass
    raise ArgumentError(f"{name} (={value!r}) must be a whole number from 1, or two of them, (height, width)")


@dataclass(frozen=True)
class Window:
    """A window over an image, both directions: every field is (height, width)."""

    input: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: Sides
    output: tuple[int, int]

    @staticmethod
    def over(
        size: tuple[int, int], kernel: PairLike, stride: PairLike = 1, padding: PaddingLike = 0, dilation: PairLike = 1
    ) -> Window:
        """Return the window's geometry over an image of `size`; raises where it does not fit once.

        padding: n, (height, width), ((top, bottom), (left, right)), "valid" (none), or "same": as much as gives
        ceil(size / stride) outputs, the odd row and column at the bottom and right.
        """
        kernel, stride, dilation = pair("kernel_size", kernel), pair("stride", stride), pair("dilation", dilation)
        extent = tuple(d * (r - 1) + 1 for r, d in zip(kernel, dilation, strict=True))
        pads = _sides(padding, size, extent, stride)
        padded = tuple(n + sum(sides) for n, sides in zip(size, pads, strict=True))
        if padded[0] < extent[0] or padded[1] < extent[1]:
            raise ShapeError(
                f"a {kernel[0]}x{kernel[1]} kernel with dilation {dilation} spans {extent[0]}x{extent[1]}, which does "
                f"not fit into a {size[0]}x{size[1]} input, {padded[0]}x{padded[1]} with padding {padding!r}: "
                "make the kernel smaller or the padding larger"
            )
        output = ((padded[0] - extent[0]) // stride[0] + 1, (padded[1] - extent[1]) // stride[1] + 1)
        return Window(size, kernel, stride, dilation, pads, output)

    def taps(self, padded: Array) -> Iterator[tuple[int, int, Array]]:
        """Yield (r, s, view) for each kernel position: the view (N, P, Q, C) of the padded input it meets."""
        (sh, sw), (dh, dw), (p, q) = self.stride, self.dilation, self.output
        for r in range(self.kernel[0]):
            rows = padded[:, r * dh : r * dh + (p - 1) * sh + 1 : sh]
            for s in range(self.kernel[1]):
                yield r, s, rows[:, :, s * dw : s * dw + (q - 1) * sw + 1 : sw]

    def patches(self, padded: Array) -> Array:
        """Return the view (N, P, Q, R, S, C) of the padded input (N, H', W', C) that holds each output's inputs."""
        (sh, sw), (dh, dw) = self.stride, self.dilation
        n, h, w, c = padded.strides
        strided: Array = array_module(padded).lib.stride_tricks.as_strided(
            padded, (len(padded), *self.output, *self.kernel, padded.shape[3]), (n, h * sh, w * sw, h * dh, w * dw, c)
        )
        return strided

    @property
    def overlaps(self) -> bool:
        """Whether an input may lie in more than one output's window."""
        reach = zip(self.kernel, self.stride, self.dilation, strict=True)
        return any(d * (r - 1) >= s for r, s, d in reach)


def pad(x: Array, pads: Sides, value: float = 0.0) -> Array:
    """Return images (N, H, W, C) with `value` around them; a negative amount crops. Without padding: a view of x."""
    (top, bottom), (left, right) = pads
    n, h, w, c = x.shape
    x = x[:, max(0, -top) : h - max(0, -bottom), max(0, -left) : w - max(0, -right)]
    top, bottom, left, right = (max(0, side) for side in (top, bottom, left, right))
    if not (top or bottom or left or right):
        return x
    h, w = x.shape[1:3]
    padded: Array = array_module(x).empty((n, h + top + bottom, w + left + right, c), x.dtype)
    padded[:, :top], padded[:, top + h :] = value, value
    padded[:, top : top + h, :left], padded[:, top : top + h, left + w :] = value, value
    padded[:, top : top + h, left : left + w] = x
    return padded


def unpad(x: Array, pads: Sides) -> Array:
    """Return the view of padded images without their padding."""
    (top, bottom), (left, right) = pads
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def _sides(padding: Any, size: Any, extent: Any, stride: Any) -> Sides:
    try:
        padding = check_padding(padding)
    except ValueError as error:
        raise ArgumentError(f"padding (={padding!r}) {error}") from None
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        total = [max(0, (-(-n // s) - 1) * s + e - n) for n, s, e in zip(size, stride, extent, strict=True)]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    if isinstance(padding, int):
        return (padding, padding), (padding, padding)
    height, width = padding
    return (height, height) if isinstance(height, int) else height, (width, width) if isinstance(width, int) else width
