"""Batch normalisation by its definition, one channel at a time, and its gradient through the whole Jacobian."""

from __future__ import annotations

import math

import numpy as np


def statistics(x):
    """Return the mean and the biased variance of each channel."""
    rows = np.float64(x).reshape(-1, x.shape[-1])
    mean = [math.fsum(column) / len(column) for column in rows.T]
    var = [
        math.fsum((value - m) ** 2 for value in column) / len(column) for column, m in zip(rows.T, mean, strict=True)
    ]
    return np.array(mean), np.array(var)


def normalised(x, gamma, beta, mean, var, eps):
    y = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        c = at[-1]
        y[at] = float(gamma[c]) * (float(x[at]) - float(mean[c])) / math.sqrt(float(var[c]) + eps) + float(beta[c])
    return y


def backward(dy, x, gamma, eps):
    """Return dx, dgamma, dbeta.

    With x^ = (x - mean) / sigma over m values, d x^_j / d x_i = ((i = j) - 1/m - x^_i x^_j / m) / sigma.
    """
    mean, var = statistics(x)
    hat = normalised(x, np.ones_like(mean), np.zeros_like(mean), mean, var, eps).reshape(-1, x.shape[-1])
    rows = np.float64(dy).reshape(hat.shape)
    m, channels = hat.shape
    dx = np.zeros(hat.shape)
    for c in range(channels):
        sigma = math.sqrt(var[c] + eps)
        for i in range(m):
            for j in range(m):
                slope = ((i == j) - 1 / m - hat[i, c] * hat[j, c] / m) / sigma
                dx[i, c] += rows[j, c] * float(gamma[c]) * slope
    dgamma = [math.fsum(rows[i, c] * hat[i, c] for i in range(m)) for c in range(channels)]
    dbeta = [math.fsum(rows[i, c] for i in range(m)) for c in range(channels)]
    return dx.reshape(x.shape), np.array(dgamma), np.array(dbeta)
