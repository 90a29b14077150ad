"""Convolution by the kernels in conv2d_tiled.cu, conv2d_depthwise.cu and, for what is too small for tiles, conv2d.cu.

Arguments are those of `gpucnn.ops.conv2d` once they are checked: arrays, the window, groups. Which kernel computes a
pass is decided by the shapes alone, so that results are the same on every device.
"""

from __future__ import annotations

import math
from typing import Any

from gpucnn.backend import Array, Shape, array_module
from gpucnn.cuda.geometry import Window, geometry
from gpucnn.cuda.launch import GRID_LIMITS, blocks, launch
from gpucnn.cuda.sums import add_parts, new_parts, parts_of

LEAST_SIDE = 16
"""A product with fewer rows or columns than this would leave most of a tile empty."""

MANY_TILES = 128
"""Large tiles are chosen where there are at least so many of them: about as many as a large GPU runs at once."""


def conv2d(x: Array, w: Array, b: Array | None, window: Window, groups: int) -> Array:
    """Return y (N, P, Q, K) for x (N, H, W, C), w (K, R, S, C/groups) and b (K,) or None."""
    y: Array = array_module(x).empty((len(x), *window.output, len(w)), x.dtype)
    arguments: dict[str, Any] = {"x": x, "w": w, "b": b, "y": y, "g": geometry(x.shape, len(w), window, groups)}
    rows, columns = math.prod(y.shape[:3]), len(w) // groups
    if _is_depthwise(w.shape, groups):
        launch("depthwise_forward", blocks(y.size), **arguments)
    elif size := tile_size(rows, columns, groups):
        launch(f"conv2d_forward_{size}", _tiles(size, rows, columns, groups), **arguments)
    else:
        launch("conv2d_forward", blocks(y.size), **arguments)
    return y


def conv2d_backward_data(dy: Array, w: Array, x_shape: Shape, window: Window, groups: int) -> Array:
    """Return dx (N, H, W, C) for dy (N, P, Q, K) and w."""
    dx: Array = array_module(dy).empty(x_shape, dy.dtype)
    arguments: dict[str, Any] = {"dy": dy, "w": w, "dx": dx, "g": geometry(x_shape, len(w), window, groups)}
    phases = math.prod(window.stride)
    rows = x_shape[0] * math.prod(-(-size // s) for size, s in zip(x_shape[1:3], window.stride, strict=True))
    if _is_depthwise(w.shape, groups):
        launch("depthwise_backward_data", blocks(dx.size), **arguments)
    elif size := tile_size(rows, w.shape[3], groups * phases):
        launch(f"conv2d_backward_data_{size}", _tiles(size, rows, w.shape[3], groups * phases), **arguments)
    else:
        launch("conv2d_backward_data", blocks(dx.size), **arguments)
    return dx


def conv2d_backward_weight(x: Array, dy: Array, w_shape: Shape, window: Window, groups: int) -> Array:
    """Return dw (K, R, S, C/groups) for x and dy; float32 where these are halves."""
    weights, outputs = math.prod(w_shape), math.prod(dy.shape[:3])
    rows, columns = w_shape[0] // groups, math.prod(w_shape[1:])
    pieces = parts_of(outputs, weights)
    parts = new_parts(x, pieces, weights)
    arguments: dict[str, Any] = {"x": x, "dy": dy, "parts": parts, "g": geometry(x.shape, w_shape[0], window, groups)}
    if _is_depthwise(w_shape, groups):
        launch("depthwise_backward_weight", blocks(weights, pieces), **arguments)
    elif size := tile_size(rows, columns, groups * pieces):
        grid = _tiles(size, rows, columns, groups * pieces)
        launch(f"conv2d_backward_weight_{size}", grid, pieces=pieces, **arguments)
    else:
        launch("conv2d_backward_weight", blocks(weights, pieces), **arguments)
    return add_parts(parts, w_shape)


def tile_size(rows: int, columns: int, products: int) -> int | None:
    """Return the side of the tiles for so many matrix products of this size; None where tiles are no gain."""
    if min(rows, columns) < LEAST_SIDE or products > GRID_LIMITS[2]:
        return None
    return 128 if columns > 64 and math.prod(_tiles(128, rows, columns, products)) >= MANY_TILES else 64


def _tiles(size: int, rows: int, columns: int, products: int) -> tuple[int, int, int]:
    """Return the grid of tiles."""
    return -(-rows // size), -(-columns // size), products


def _is_depthwise(w_shape: Shape, groups: int) -> bool:
    return w_shape[3] == 1 and groups > 1
