"""Pooling and its gradients: each window looked at by itself."""

from __future__ import annotations

import math

import numpy as np

from oracles.window import both, meetings, outputs


def windows(x_shape, kernel_size, stride, padding):
    """Return {(p, q): [(r, s, h, w), ...]}: the inputs in each window, row by row, padding left out."""
    stride = kernel_size if stride is None else stride
    P, Q = outputs(x_shape[1:3], kernel_size, stride, padding, 1)
    inside = {(p, q): [] for p in range(P) for q in range(Q)}
    for p, q, r, s, h, w in meetings(x_shape[1:3], kernel_size, stride, padding):
        inside[p, q].append((r, s, h, w))
    return (x_shape[0], P, Q, x_shape[3]), inside


def max_forward(x, kernel_size, *, stride=None, padding=0):
    """Return the largest of each window, and where it first stands: r * S + s.

    A window with a NaN has no largest element: NaN, at the position R * S that no element has.
    """
    R, S = both(kernel_size)
    y_shape, inside = windows(x.shape, kernel_size, stride, padding)
    y, index = np.zeros(y_shape), np.zeros(y_shape, np.int64)
    for n, p, q, c in np.ndindex(y_shape):
        values = {r * S + s: float(x[n, h, w, c]) for r, s, h, w in inside[p, q]}
        if any(math.isnan(value) for value in values.values()):
            y[n, p, q, c], index[n, p, q, c] = math.nan, R * S
        else:
            y[n, p, q, c] = max(values.values())
            index[n, p, q, c] = min(at for at, value in values.items() if value == y[n, p, q, c])
    return y, index


def max_backward(dy, index, x_shape, kernel_size, *, stride=None, padding=0):
    _, inside = windows(x_shape, kernel_size, stride, padding)
    dx = np.zeros(x_shape)
    for n, p, q, c in np.ndindex(dy.shape):
        for r, s, h, w in inside[p, q]:
            if r * both(kernel_size)[1] + s == index[n, p, q, c]:
                dx[n, h, w, c] += float(dy[n, p, q, c])
    return dx


def share(members, kernel_size, count_include_pad):
    """Return by what an average divides: the whole window, or only what lies inside of the image."""
    return math.prod(both(kernel_size)) if count_include_pad else len(members)


def avg_forward(x, kernel_size, *, stride=None, padding=0, count_include_pad=True):
    y_shape, inside = windows(x.shape, kernel_size, stride, padding)
    y = np.zeros(y_shape)
    for n, p, q, c in np.ndindex(y_shape):
        total = math.fsum(float(x[n, h, w, c]) for _, _, h, w in inside[p, q])
        y[n, p, q, c] = total / share(inside[p, q], kernel_size, count_include_pad)
    return y


def avg_backward(dy, x_shape, kernel_size, *, stride=None, padding=0, count_include_pad=True):
    _, inside = windows(x_shape, kernel_size, stride, padding)
    dx = np.zeros(x_shape)
    for n, p, q, c in np.ndindex(dy.shape):
        for _, _, h, w in inside[p, q]:
            dx[n, h, w, c] += float(dy[n, p, q, c]) / share(inside[p, q], kernel_size, count_include_pad)
    return dx


def sum_forward(x, kernel_size, *, stride=None, padding=0):
    y_shape, inside = windows(x.shape, kernel_size, stride, padding)
    y = np.zeros(y_shape)
    for n, p, q, c in np.ndindex(y_shape):
        y[n, p, q, c] = math.fsum(float(x[n, h, w, c]) for _, _, h, w in inside[p, q])
    return y


def sum_backward(dy, x_shape, kernel_size, *, stride=None, padding=0):
    _, inside = windows(x_shape, kernel_size, stride, padding)
    dx = np.zeros(x_shape)
    for n, p, q, c in np.ndindex(dy.shape):
        for _, _, h, w in inside[p, q]:
            dx[n, h, w, c] += float(dy[n, p, q, c])
    return dx


def global_avg_forward(x):
    N, H, W, C = x.shape
    y = np.zeros((N, C))
    for n, h, w, c in np.ndindex(x.shape):
        y[n, c] += float(x[n, h, w, c]) / (H * W)
    return y


def global_avg_backward(dy, x_shape):
    dx = np.zeros(x_shape)
    for n, h, w, c in np.ndindex(x_shape):
        dx[n, h, w, c] = float(dy[n, c]) / (x_shape[1] * x_shape[2])
    return dx
