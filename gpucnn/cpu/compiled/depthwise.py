"""Depthwise convolution with one kernel a channel: a tap is a product of long rows, with no copy but of the padding.

As `gpucnn.cpu.depthwise`, where there are as many kernels as channels. Images (H, W * C) are laid out in planes, see
`compiled.planes`, in which what a tap meets in a row of outputs is one run of numbers. taps (R, S, length) are kernels
repeated for several columns.
"""

from __future__ import annotations

import math

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.blocks import slices, summed
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.compiled.planes import place, planes_of, take
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.ops.window import Window

LENGTH = 1024
"""About how many numbers a row of repeated kernels has: those of 3x3 are 36 KB, most of the first-level cache."""

BLOCK_BYTES = 1 << 20
"""How large a block's outputs are: enough for waking another thread to pay."""


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array) -> None:
    """Write the correlation of x (N, H, W, C) with w (C, R, S, 1) to y (N, P, Q, C), which may be a view, plus b."""
    (n, h, _, c), (p, q), blocks = x.shape, window.output, _blocks(y.shape)
    images, taps = x.reshape(n, h, -1), _repeated(w)
    bias = np.zeros(taps.shape[2], np.float32)
    if b is not None:
        bias.reshape(-1, c)[...] = b

    def work(i: int) -> None:
        seen = y[blocks[i]]
        out = seen if seen.flags.c_contiguous else empty(seen.shape)
        whole = out.reshape(len(out), p, q * c)
        _forward(images[blocks[i]], taps, bias, _geometry(window), c, planes_of(window, c), whole)
        if out is not seen:
            seen[...] = out

    run(work, len(blocks))


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (C, R, S, 1), the correlation of x with dy (N, P, Q, C)."""
    (c, r, s, _), (n, h), (p, q), blocks = w_shape, x.shape[:2], window.output, _blocks(dy.shape)
    repeat, images, gradients = max(1, LENGTH // c), x.reshape(n, h, -1), dy.reshape(n, p, q * c)

    def add(i: int, total: Array) -> None:
        given = images[blocks[i]], gradients[blocks[i]]
        _backward_weight(*given, _geometry(window), c, planes_of(window, c), total)

    dw = summed(add, len(blocks), (r, s, repeat * c)).reshape(r, s, repeat, c).sum(axis=2)
    return contiguous(dw.transpose(2, 0, 1)).reshape(w_shape)


def backward_data(dy: Array, w: Array, x_shape: Shape, window: Window) -> Array | None:
    """Return dx (N, H, W, C) for dy (N, P, Q, C) and w (C, R, S, 1); None for images too large for the cache."""
    (n, h, _, c), (p, q), planes = x_shape, window.output, planes_of(window, x_shape[3])
    if len(planes) < (p - 1) * window.stride[0] + (window.kernel[0] - 1) * window.dilation[0] + 1:
        return None
    dx, blocks, taps = empty(x_shape), _blocks(x_shape), _repeated(w)
    given, out = dy.reshape(n, p, q * c), dx.reshape(n, h, -1)

    def work(i: int) -> None:
        _backward_data(given[blocks[i]], taps, _geometry(window), c, planes_of(window, c), out[blocks[i]])

    run(work, len(blocks))
    return dx


def _repeated(w: Array) -> Array:
    """Return kernels (C, R, S, 1) as taps (R, S, length)."""
    return np.tile(w[..., 0].transpose(1, 2, 0), max(1, LENGTH // len(w)))


def _geometry(window: Window) -> tuple[int, ...]:
    return (*window.stride, *window.dilation, window.pads[0][0], window.pads[1][0])


def _blocks(y_shape: Shape) -> list[slice]:
    return slices(y_shape[0], 4 * math.prod(y_shape[1:]), BLOCK_BYTES)


@compiled
def _forward(
    x: Array, taps: Array, bias: Array, geometry: tuple[int, ...], channels: int, planes: Array, y: Array
) -> None:
    """Write the correlation of images x (n, H, W * C) with taps to y (n, P, Q * C), plus bias (length,)."""
    sh, sw, dh, dw, top, left = geometry
    (kernel, across, length), width = taps.shape, y.shape[2]
    band = (planes.shape[0] - (kernel - 1) * dh - 1) // sh + 1
    for n in range(x.shape[0]):
        for p in range(y.shape[1]):
            if p % band == 0:
                place(x[n], p * sh - top, channels, sw, left, planes)
            row = p % band * sh
            for start in range(0, width, length):
                out = y[n, p, start : min(width, start + length)]
                if kernel == 3 and across == 3:
                    _nine(planes[row], planes[row + dh], planes[row + 2 * dh], start, sw, dw, channels, taps, bias, out)
                    continue
                for z in range(out.size):
                    out[z] = bias[z]
                for r in range(kernel):
                    for s in range(across):
                        seen = planes[row + r * dh, s * dw % sw, start + s * dw // sw * channels :]
                        tap = taps[r, s]
                        for z in range(out.size):
                            out[z] += tap[z] * seen[z]


@compiled
def _nine(
    a: Array, b: Array, c: Array, start: int, sw: int, dw: int, channels: int, taps: Array, bias: Array, out: Array
) -> None:
    """Write the sum of the products of 3x3 taps with three rows of planes, all nine at once: `out` is never read."""
    one, two = start + dw // sw * channels, start + 2 * dw // sw * channels
    a0, a1, a2 = a[0, start:], a[dw % sw, one:], a[2 * dw % sw, two:]
    b0, b1, b2 = b[0, start:], b[dw % sw, one:], b[2 * dw % sw, two:]
    c0, c1, c2 = c[0, start:], c[dw % sw, one:], c[2 * dw % sw, two:]
    t0, t1, t2 = taps[0, 0], taps[0, 1], taps[0, 2]
    u0, u1, u2 = taps[1, 0], taps[1, 1], taps[1, 2]
    v0, v1, v2 = taps[2, 0], taps[2, 1], taps[2, 2]
    for z in range(out.size):
        top = t0[z] * a0[z] + t1[z] * a1[z] + t2[z] * a2[z]
        middle = u0[z] * b0[z] + u1[z] * b1[z] + u2[z] * b2[z]
        out[z] = bias[z] + top + middle + v0[z] * c0[z] + v1[z] * c1[z] + v2[z] * c2[z]


@compiled
def _backward_weight(
    x: Array, dy: Array, geometry: tuple[int, ...], channels: int, planes: Array, total: Array
) -> None:
    """Add the correlation of images x (n, H, W * C) with dy (n, P, Q * C), in long rows, to total (R, S, length)."""
    sh, sw, dh, dw, top, left = geometry
    (kernel, across, length), width = total.shape, dy.shape[2]
    band = (planes.shape[0] - (kernel - 1) * dh - 1) // sh + 1
    for n in range(x.shape[0]):
        for begin in range(0, dy.shape[1], band):
            place(x[n], begin * sh - top, channels, sw, left, planes)
            end = min(dy.shape[1], begin + band)
            fours = begin + (end - begin) // 4 * 4
            for start in range(0, width, length):
                stop = min(width, start + length)
                for r in range(kernel):
                    for s in range(across):
                        plane, of, found = s * dw % sw, start + s * dw // sw * channels, total[r, s]
                        for p in range(begin, fours, 4):
                            row = (p - begin) * sh + r * dh
                            _add_four(dy[n], p, start, stop, planes, row, sh, plane, of, found)
                        for p in range(fours, end):
                            seen, given = planes[(p - begin) * sh + r * dh, plane, of:], dy[n, p, start:stop]
                            for z in range(given.size):
                                found[z] += given[z] * seen[z]


@compiled
def _add_four(
    dy: Array, p: int, start: int, stop: int, planes: Array, row: int, stride: int, plane: int, of: int, found: Array
) -> None:
    """Add the products of four rows of dy with what a tap meets: the sums are read and written once for all four."""
    a, b = planes[row, plane, of:], planes[row + stride, plane, of:]
    c, d = planes[row + 2 * stride, plane, of:], planes[row + 3 * stride, plane, of:]
    e, f, g, h = dy[p, start:stop], dy[p + 1, start:stop], dy[p + 2, start:stop], dy[p + 3, start:stop]
    for z in range(e.size):
        found[z] += e[z] * a[z] + f[z] * b[z] + g[z] * c[z] + h[z] * d[z]


@compiled
def _backward_data(dy: Array, taps: Array, geometry: tuple[int, ...], channels: int, planes: Array, dx: Array) -> None:
    """Write to dx (n, H, W * C) what dy (n, P, Q * C) times the taps adds up to, first in planes of whole images."""
    sh, sw, dh, dw, top, left = geometry
    kernel, across, length = taps.shape
    for n in range(len(dy)):
        planes[:] = np.float32(0)
        for p in range(dy.shape[1]):
            for start in range(0, dy.shape[2], length):
                given = dy[n, p, start : min(dy.shape[2], start + length)]
                for r in range(kernel):
                    for s in range(across):
                        to = planes[p * sh + r * dh, s * dw % sw, start + s * dw // sw * channels :]
                        tap = taps[r, s]
                        for z in range(given.size):
                            to[z] += tap[z] * given[z]
        take(planes, top, left, channels, dx[n])
