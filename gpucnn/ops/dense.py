"""Dense (fully connected) layers' three matrix products.

x (N, in), w (out, in), b (out,), y (N, out):  y = x w^T + b,  dx = dy w,  dw = dy^T x,  db = sum of dy over images.
"""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import operation, summing_operation
from gpucnn.errors import ShapeError
from gpucnn.ops.checks import check_dtypes
from gpucnn.ops.sums import sum_rows


def dense(x: Array, w: Array, b: Array | None = None) -> Array:
    """Return y (N, out) = x (N, in) times the transpose of w (out, in), plus b (out,).

    >>> import numpy as np
    >>> dense(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, 0.0]))
    array([[11.5, 17. ]])
    """
    _check(x, w, "x", "w", x.shape[-1:] == w.shape[-1:])
    if b is not None and (b.shape != w.shape[:1] or b.dtype != x.dtype):
        raise ShapeError(f"b has shape {b.shape} and dtype {b.dtype}: it must be ({w.shape[0]},) and {x.dtype}")
    return _dense(x, w, b)


@operation
def _dense(x: Array, w: Array, b: Array | None) -> Array:
    y: Array = x @ w.T
    if b is not None:
        y += b
    return y


def dense_backward_data(dy: Array, w: Array) -> Array:
    """Return dx (N, in) = dy (N, out) times w (out, in)."""
    _check(dy, w, "dy", "w", dy.shape[-1:] == w.shape[:1])
    return _dense_backward_data(dy, w)


@operation
def _dense_backward_data(dy: Array, w: Array) -> Array:
    dx: Array = dy @ w
    return dx


def dense_backward_weight(x: Array, dy: Array) -> Array:
    """Return dw (out, in) = the transpose of dy (N, out) times x (N, in); float32 where these are halves."""
    _check(x, dy, "x", "dy", x.shape[:1] == dy.shape[:1])
    return _dense_backward_weight(x, dy)


@summing_operation
def _dense_backward_weight(x: Array, dy: Array) -> Array:
    dw: Array = dy.T @ x
    return dw


def dense_backward_bias(dy: Array) -> Array:
    """Return db (out,): the sum of dy (N, out) over images; float32 for halves."""
    return sum_rows(dy)


def _check(a: Array, b: Array, a_name: str, b_name: str, fits: bool) -> None:
    check_dtypes(**{a_name: a, b_name: b})
    if a.ndim != 2 or b.ndim != 2 or not fits:
        raise ShapeError(
            f"{a_name} {a.shape} and {b_name} {b.shape} do not fit: x is (N, in), w (out, in), dy (N, out)"
        )
