"""Activations and their derivatives, one number at a time, as the papers write them."""

from __future__ import annotations

import math

import numpy as np


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def normal_pdf(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def sech2(x: float) -> float:
    """Return 1 - tanh(x)^2, without the cancellation."""
    t = math.exp(-2 * abs(x))
    return 4 * t / (1 + t) ** 2


# name: (value, derivative), with the arguments' defaults
ACTIVATIONS = {
    "relu": (lambda x: max(x, 0.0), lambda x: 1.0 if x > 0 else 0.0),
    "leaky_relu": (lambda x, slope=0.01: x if x > 0 else slope * x, lambda x, slope=0.01: 1.0 if x > 0 else slope),
    "sigmoid": (logistic, lambda x: logistic(x) * logistic(-x)),
    "tanh": (math.tanh, sech2),
    "scaled_tanh": (lambda x: 1.7159 * math.tanh(2 * x / 3), lambda x: 1.7159 * 2 / 3 * sech2(2 * x / 3)),
    "softplus": (lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))), logistic),
    "elu": (
        lambda x, alpha=1.0: x if x > 0 else alpha * math.expm1(x),
        lambda x, alpha=1.0: 1.0 if x > 0 else alpha * math.exp(x),
    ),
    "gelu": (lambda x: x * normal_cdf(x), lambda x: normal_cdf(x) + x * normal_pdf(x)),
    "silu": (lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * logistic(-x))),
}


def forward(name, x, **arguments):
    value, _ = ACTIVATIONS[name]
    return np.array([value(float(v), **arguments) for v in x.ravel()]).reshape(x.shape)


def derivative(name, x, **arguments):
    _, slope = ACTIVATIONS[name]
    return np.array([slope(float(v), **arguments) for v in x.ravel()]).reshape(x.shape)


def log_softmax(x):
    """Return x - log(sum(exp(x))) of each row, in exact sums."""
    rows = []
    for row in np.float64(x).reshape(-1, x.shape[-1]):
        top = max(row)
        rows.append([v - top - math.log(math.fsum(math.exp(u - top) for u in row)) for v in row])
    return np.array(rows).reshape(x.shape)
