"""Windows drawn by hypothesis: sizes, kernels, strides, dilations and every form of padding, such that they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


def small_or_pair(values: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    """Return n or (height, width)."""
    return values | st.tuples(values, values)


def paddings(most: int) -> st.SearchStrategy[Any]:
    """Return paddings in every form, up to `most` on a side."""
    side = st.integers(0, most)
    return (
        st.sampled_from(["same", "valid"])
        | side
        | st.tuples(side, side)
        | st.tuples(st.tuples(side, side), st.tuples(side, side))
    )


@dataclass(frozen=True)
class Conv:
    """Everything about a convolution but its numbers."""

    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    arguments: dict[str, Any]


def conv(x_shape, w_shape, stride=1, padding=0, dilation=1, groups=1) -> Conv:
    """Return a convolution written out."""
    return Conv(x_shape, w_shape, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups})


@st.composite
def convs(draw: st.DrawFn) -> Conv:
    """Draw a convolution: kernels larger than the input, strides that skip it, depthwise and its multiples included."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride, dilation = draw(small_or_pair(st.integers(1, 4))), draw(small_or_pair(st.integers(1, 3)))
    padding = draw(paddings(3))
    size = draw(sizes(kernel, dilation, padding))
    groups = draw(st.integers(1, 3))
    depth, multiplier = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x_shape, w_shape = (draw(st.integers(1, 3)), *size, groups * depth), (groups * multiplier, *kernel, depth)
    return conv(x_shape, w_shape, stride, padding, dilation, groups)


def sizes(kernel: tuple[int, int], dilation: Any, padding: Any) -> st.SearchStrategy[tuple[int, ...]]:
    """Return sizes of images that the window fits into, small primes and 1 among them."""
    smallest = [least(kernel[axis], dilation, padding, axis) for axis in (0, 1)]
    return st.tuples(*(st.integers(n, max(7, n + 2)) for n in smallest))


def least(kernel: int, dilation: Any, padding: Any, axis: int) -> int:
    """Return the smallest input that a window fits into, along one axis."""
    extent = (dilation if isinstance(dilation, int) else dilation[axis]) * (kernel - 1) + 1
    if padding == "same":
        return 1
    side = 0 if padding == "valid" else padding if isinstance(padding, int) else padding[axis]
    return max(1, extent - (2 * side if isinstance(side, int) else sum(side)))


@dataclass(frozen=True)
class Pool:
    """Everything about a pooling but its numbers."""

    x_shape: tuple[int, ...]
    kernel_size: Any
    arguments: dict[str, Any]


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Draw a pooling: windows that overlap, touch or leave gaps; padding less than the kernel."""
    kernel_size = draw(small_or_pair(st.integers(1, 4)))
    kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    padding = draw(paddings(min(kernel) - 1))
    size = draw(sizes(kernel, 1, padding))
    stride = draw(st.none() | small_or_pair(st.integers(1, 4)))
    shape = (draw(st.integers(1, 3)), *size, draw(st.integers(1, 3)))
    return Pool(shape, kernel_size, {"stride": stride, "padding": padding})
