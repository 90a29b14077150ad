"""The gradient of a convolution's input as convolutions of stride 1.

With stride 1 it is one: the full correlation of dy with the kernel rotated by 180 degrees. With stride s, the inputs
whose padded row and column leave the same remainders by s meet the same kernel rows and columns, and no others: each of
these s*s phases is a stride-1 problem of its own with a part of the kernel, and none multiplies a zero that a stride
would have put between the elements of dy.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from gpucnn.backend import Array, Shape
from gpucnn.ops.window import Window


def phases(w: Array, dy_shape: Shape, window: Window, groups: int) -> Iterator[tuple[slice, slice, Array, Window]]:
    """Yield (rows, columns, kernels, dense): dx[:, rows, columns] is the correlation of dy with kernels over dense.

    Inputs that no output sees are in none of them: their gradient is zero. With stride 1 there is one, of all of dx.
    """
    for rows in _phases(window, 0):
        for columns in _phases(window, 1):
            kernels = _rotated(w[:, rows.taps, columns.taps], groups)
            if kernels.size and rows.count and columns.count:
                dilation, pads = (rows.dilation, columns.dilation), (rows.pads, columns.pads)
                size = (rows.count, columns.count)
                dense = Window((dy_shape[1], dy_shape[2]), kernels.shape[1:3], (1, 1), dilation, pads, size)
                yield rows.inputs, columns.inputs, kernels, dense


class _Phase:
    """Along one direction, the inputs whose padded index leaves remainder `phase` by the stride, and what they meet.

    Input h = first + s*i has padded index h + top = s*a + phase with a = start + i. Tap r reaches it from output
    p = a - (r*d - phase)/s, so only taps with r*d = phase (mod s) do: r = r0 + j*s/g with g = gcd(s, d), whose outputs
    are d/g apart. Turned around (j counted from the last tap), that is a correlation with dilation d/g and stride 1.
    """

    def __init__(self, window: Window, axis: int, phase: int) -> None:
        stride, dilation, kernel = window.stride[axis], window.dilation[axis], window.kernel[axis]
        top, size, outputs = window.pads[axis][0], window.input[axis], window.output[axis]
        g = gcd(stride, dilation)
        r0 = next((r for r in range(kernel) if (r * dilation - phase) % stride == 0), kernel)
        first = (phase - top) % stride
        self.inputs = slice(first, size, stride)
        self.taps = slice(r0, kernel, stride // g)
        self.dilation = dilation // g
        span = (len(range(r0, kernel, stride // g)) - 1) * self.dilation
        offset = (first + top - phase) // stride - (r0 * dilation - phase) // stride - span
        self.count = len(range(first, size, stride))
        self.pads = (-offset, offset + self.count + span - outputs)


def _phases(window: Window, axis: int) -> list[_Phase]:
    return [_Phase(window, axis, phase) for phase in range(window.stride[axis])]


def _rotated(w: Array, groups: int) -> Array:
    """Return kernels (K, R, S, C/groups) turned by 180 degrees, inputs and outputs exchanged: (C, R, S, K/groups)."""
    k, r, s, depth = w.shape
    turned = w[:, ::-1, ::-1].reshape(groups, k // groups, r, s, depth).transpose(0, 4, 2, 3, 1)
    return turned.reshape(groups * depth, r, s, k // groups)
