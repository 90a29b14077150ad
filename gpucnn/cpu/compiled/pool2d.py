"""Maxima of windows, and their gradients, in one pass over the images; as `gpucnn.cpu.pool2d`, for any window."""

from __future__ import annotations

import math

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu.blocks import slices
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.ops.window import Window

BLOCK_BYTES = 1 << 20
"""How large the images of a block are: enough for waking another thread to pay."""


def max_pool2d(x: Array, window: Window, relu: bool) -> tuple[Array, Array]:
    """Return y (N, P, Q, C) and the index (N, P, Q, C) of the first maximum, R*S where there is a NaN; or relu of y."""
    x, taps = contiguous(x), math.prod(window.kernel)
    shape = (len(x), *window.output, x.shape[3])
    y, index = empty(shape), empty(shape, np.uint8 if taps < 256 else np.int32)
    blocks = _blocks(x.shape)

    def work(i: int) -> None:
        part = x[blocks[i]], y[blocks[i]], index[blocks[i]]
        if window.kernel == window.stride == (2, 2) and window.pads == ((0, 0), (0, 0)):
            _maxima_of_four(*part, relu)
        else:
            _maxima(*part, _geometry(window), np.empty(x.shape[3], np.int32), relu)

    run(work, len(blocks))
    return y, index


def max_pool2d_backward(dy: Array, index: Array, x_shape: Shape, window: Window) -> Array:
    """Return dx (N, H, W, C): the sum of dy of the windows whose maximum it was."""
    dy, index, dx, blocks = contiguous(dy), contiguous(index), empty(x_shape), _blocks(x_shape)
    covered = tuple(p * s for p, s in zip(window.output, window.stride, strict=True))
    tiled = window.kernel == window.stride and covered == window.input and window.pads == ((0, 0), (0, 0))

    def work(i: int) -> None:
        _gradients(dy[blocks[i]], index[blocks[i]], dx[blocks[i]], _geometry(window), tiled)

    run(work, len(blocks))
    return dx


def _geometry(window: Window) -> tuple[int, ...]:
    return (*window.kernel, *window.stride, window.pads[0][0], window.pads[1][0])


def _blocks(x_shape: Shape) -> list[slice]:
    return slices(x_shape[0], 4 * math.prod(x_shape[1:]), BLOCK_BYTES)


@compiled
def _maxima_of_four(x: Array, y: Array, index: Array, relu: bool) -> None:
    """Write the maxima of windows of 2x2 that touch, and which of the four they are."""
    for n in range(len(y)):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                a, b = x[n, 2 * p, 2 * q], x[n, 2 * p, 2 * q + 1]
                c, d = x[n, 2 * p + 1, 2 * q], x[n, 2 * p + 1, 2 * q + 1]
                out, where = y[n, p, q], index[n, p, q]
                for z in range(out.size):
                    best, tap = a[z], 0
                    if b[z] > best:
                        best, tap = b[z], 1
                    if c[z] > best:
                        best, tap = c[z], 2
                    if d[z] > best:
                        best, tap = d[z], 3
                    if relu and best <= 0:
                        best, tap = np.float32(0), 4
                    if a[z] != a[z] or b[z] != b[z] or c[z] != c[z] or d[z] != d[z]:
                        best, tap = np.float32(np.nan), 4
                    out[z], where[z] = best, tap


@compiled
def _maxima(x: Array, y: Array, index: Array, geometry: tuple[int, ...], tap: Array, relu: bool) -> None:
    """Write the maxima of any windows, and where in them they are; tap: memory for one number a channel."""
    kernel, across, sh, sw, top, left = geometry
    nowhere = np.int32(kernel * across)
    for n in range(len(y)):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                h, w, best = p * sh - top, q * sw - left, y[n, p, q]
                first = True
                for r in range(max(0, -h), min(kernel, x.shape[1] - h)):
                    for s in range(max(0, -w), min(across, x.shape[2] - w)):
                        seen, here = x[n, h + r, w + s], np.int32(r * across + s)
                        if first:
                            for z in range(best.size):
                                best[z] = seen[z]
                                tap[z] = here if seen[z] == seen[z] else nowhere
                            first = False
                            continue
                        for z in range(best.size):
                            more, nan = seen[z] > best[z], seen[z] != seen[z]
                            tap[z] = nowhere if nan else (here if more else tap[z])
                            best[z] = seen[z] if more or nan else best[z]
                where = index[n, p, q]
                for z in range(best.size):
                    cut = relu and best[z] <= 0
                    best[z], where[z] = (np.float32(0), nowhere) if cut else (best[z], tap[z])


@compiled
def _gradients(dy: Array, index: Array, dx: Array, geometry: tuple[int, ...], tiled: bool) -> None:
    """Add dy to zeros where the maximum stood; tiled: each element of dx lies in one window, and nothing is added."""
    kernel, across, sh, sw, top, left = geometry
    for n in range(len(dy)):
        if not tiled:
            dx[n] = np.float32(0)
        for p in range(dy.shape[1]):
            for q in range(dy.shape[2]):
                h, w, given, where = p * sh - top, q * sw - left, dy[n, p, q], index[n, p, q]
                for r in range(max(0, -h), min(kernel, dx.shape[1] - h)):
                    for s in range(max(0, -w), min(across, dx.shape[2] - w)):
                        to, here = dx[n, h + r, w + s], r * across + s
                        if tiled:
                            for z in range(to.size):
                                to[z] = given[z] if where[z] == here else np.float32(0)
                        else:
                            for z in range(to.size):
                                to[z] += given[z] if where[z] == here else np.float32(0)
