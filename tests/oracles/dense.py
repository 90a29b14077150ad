"""The dense layer and its gradients: three loops."""

from __future__ import annotations

import numpy as np


def forward(x, w, b=None):
    y = np.zeros((x.shape[0], w.shape[0]))
    for n, k in np.ndindex(y.shape):
        for c in range(x.shape[1]):
            y[n, k] += float(x[n, c]) * float(w[k, c])
        y[n, k] += 0.0 if b is None else float(b[k])
    return y


def backward_data(dy, w):
    dx = np.zeros((dy.shape[0], w.shape[1]))
    for n, c in np.ndindex(dx.shape):
        for k in range(w.shape[0]):
            dx[n, c] += float(dy[n, k]) * float(w[k, c])
    return dx


def backward_weight(x, dy):
    dw = np.zeros((dy.shape[1], x.shape[1]))
    for k, c in np.ndindex(dw.shape):
        for n in range(x.shape[0]):
            dw[k, c] += float(dy[n, k]) * float(x[n, c])
    return dw


def backward_bias(dy):
    return np.array([sum(float(value) for value in column) for column in dy.T])
