"""Depthwise convolution: every channel has kernels of its own, so that there is no matrix product to gain.

One kernel a channel is computed by compiled loops where numba is installed: see `compiled.depthwise`. Else images are
held as (H, W, n, C): each tap is one multiplication and one addition of long rows, kernels repeated n times. Where
Winograd's algorithm applies, 36 multiplications and its transforms take the place of 144 of each for 3x3.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.cpu import compiled, winograd
from gpucnn.cpu.blocks import slices, summed
from gpucnn.cpu.images import place
from gpucnn.cpu.memory import empty
from gpucnn.cpu.threads import run
from gpucnn.cpu.winograd_matrices import M, kernel_gradient, transformed_kernels
from gpucnn.numerics import exact
from gpucnn.ops.window import Window

BLOCK_BYTES = 1 << 18
"""How large a block's outputs are: they, one product and the images stay in the second-level cache."""


def forward(x: Array, w: Array, b: Array | None, window: Window, y: Array) -> None:
    """Write the correlation of x (N, H, W, C) with w (C * multiplier, R, S, 1) to y, plus b."""
    if loops := loops_for(w.shape, x.shape):
        loops.forward(x, w, b, window, y)
        return
    if _by_winograd(w.shape, x.shape[3], window):
        _winograd_forward(x, w, b, window, y)
        return
    c, (p, q) = x.shape[3], window.output
    multiplier, blocks = len(w) // c, _blocks(y.shape)

    def work(i: int) -> None:
        held, seen = _held(x[blocks[i]], window, multiplier), y[blocks[i]]
        total, product = empty((p, q, len(seen), len(w))), empty((p, q, len(seen), len(w)))
        total[...] = 0 if b is None else b
        for r, s, view in window.taps(held[None]):
            np.multiply(view[0], np.tile(w[:, r, s, 0], len(seen)), out=product.reshape(p, q, -1))
            np.add(total, product, out=total)
        seen[...] = total.transpose(2, 0, 1, 3)

    run(work, len(blocks))


def backward_data(dy: Array, w: Array, x_shape: Shape, window: Window) -> Array | None:
    """Return dx, all phases of a stride at once, by compiled loops; None where these do not apply."""
    loops = loops_for(w.shape, x_shape)
    dx: Array | None = loops.backward_data(dy, w, x_shape, window) if loops else None
    return dx


def backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    """Return dw (C * multiplier, R, S, 1), the correlation of x with dy."""
    if loops := loops_for(w_shape, x.shape):
        dw: Array = loops.backward_weight(x, dy, w_shape, window)
        return dw
    if _by_winograd(w_shape, x.shape[3], window):
        return _winograd_backward_weight(x, dy, w_shape, window)
    k, r, s, _ = w_shape
    blocks = _blocks(dy.shape)

    def add(i: int, total: Array) -> None:
        images = dy[blocks[i]]
        n, (p, q) = len(images), window.output
        gradients, product = empty((p, q, n * k)), empty((p, q, n * k))
        gradients.reshape(p, q, n, k)[...] = images.transpose(1, 2, 0, 3)
        for r, s, view in window.taps(_held(x[blocks[i]], window, k // x.shape[3])[None]):
            np.multiply(view[0], gradients, out=product)
            total[r, s] += np.add.reduce(product.reshape(p * q, -1), axis=0).reshape(n, k).sum(axis=0)

    dw = summed(add, len(blocks), (r, s, k))
    return np.ascontiguousarray(dw.transpose(2, 0, 1)).reshape(w_shape)


def loops_for(w_shape: Shape, x_shape: Shape) -> Any:
    """Return the module of compiled loops where it applies, else None: one kernel a channel, and images."""
    return compiled.module("depthwise") if w_shape[0] == x_shape[3] and 0 not in x_shape else None


def _by_winograd(w_shape: Shape, channels: int, window: Window) -> bool:
    """Return whether Winograd's algorithm is used: one kernel a channel, and all that it asks for otherwise."""
    return not exact() and w_shape[0] == channels and winograd.suits((*w_shape[:3], channels), window)


def _winograd_forward(x: Array, w: Array, b: Array | None, window: Window, y: Array) -> None:
    """Write the correlation by Winograd's algorithm, its products element by element."""
    kernels, blocks = transformed_kernels(w), winograd.blocks_of(len(x), (*w.shape[:3], len(w)), window)

    def work(i: int) -> None:
        block = blocks[i]
        data = block.data(x)
        long = _long(data, block)
        np.multiply(long, np.tile(kernels[:, 0], block.n), out=long)
        block.outputs(data, b, y)

    run(work, len(blocks))


def _winograd_backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window) -> Array:
    k, r, _, _ = w_shape
    blocks = winograd.blocks_of(len(x), (*w_shape[:3], k), window)

    def add(i: int, total: Array) -> None:
        block = blocks[i]
        long = _long(block.data(x), block)
        long *= _long(block.gradients(dy), block)
        total += np.add.reduce(long, axis=1).reshape(len(long), block.n, k).sum(axis=1)

    return kernel_gradient(summed(add, len(blocks), ((r + M - 1) ** 2, k))[:, None], r)


def _long(spread: Array, block: winograd.Block) -> Array:
    """Return the view (a*a, tiles of an image, n * channels) of (a*a, tiles, channels)."""
    return spread.reshape(len(spread), block.count // block.n, -1)


def _held(x: Array, window: Window, multiplier: int) -> Array:
    """Return images with padding as (H', W', n * C * multiplier), every channel `multiplier` times."""
    n, h, w, c = x.shape
    size = (h + sum(window.pads[0]), w + sum(window.pads[1]))
    out = empty((*size, n, c))
    place(x, out.transpose(2, 0, 1, 3), window.pads[0][0], window.pads[1][0])
    return (out if multiplier == 1 else np.repeat(out, multiplier, axis=3)).reshape(*size, n * c * multiplier)


def _blocks(y_shape: Shape) -> list[slice]:
    return slices(y_shape[0], 4 * math.prod(y_shape[1:]), BLOCK_BYTES)
