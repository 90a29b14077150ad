"""Convolution and its three gradients: seven loops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oracles.window import meetings, outputs


def products(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: object, padding: object, dilation: object, groups: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Yield the indices of y, x and w in each product x * w that y is a sum of."""
    N, H, W, _ = x_shape
    K, R, S, depth = w_shape
    for p, q, r, s, h, w in meetings((H, W), (R, S), stride, padding, dilation):
        for n in range(N):
            for k in range(K):
                group = k // (K // groups)
                for i in range(depth):
                    yield (n, p, q, k), (n, h, w, group * depth + i), (k, r, s, i)


def forward(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    P, Q = outputs(x.shape[1:3], w.shape[1:3], stride, padding, dilation)
    y = np.zeros((x.shape[0], P, Q, w.shape[0]))
    x, w = np.float64(x), np.float64(w)
    for at_y, at_x, at_w in products(x.shape, w.shape, stride, padding, dilation, groups):
        y[at_y] += x[at_x] * w[at_w]
    return y if b is None else y + np.float64(b)


def backward_data(dy, w, x_shape, *, stride=1, padding=0, dilation=1, groups=1):
    dx = np.zeros(x_shape)
    dy, w = np.float64(dy), np.float64(w)
    for at_y, at_x, at_w in products(x_shape, w.shape, stride, padding, dilation, groups):
        dx[at_x] += dy[at_y] * w[at_w]
    return dx


def backward_weight(x, dy, w_shape, *, stride=1, padding=0, dilation=1, groups=1):
    dw = np.zeros(w_shape)
    x, dy = np.float64(x), np.float64(dy)
    for at_y, at_x, at_w in products(x.shape, w_shape, stride, padding, dilation, groups):
        dw[at_w] += dy[at_y] * x[at_x]
    return dw


def backward_bias(dy):
    db = np.zeros(dy.shape[3])
    for n, p, q, k in np.ndindex(dy.shape):
        db[k] += float(dy[n, p, q, k])
    return db
