"""Batch normalisation in three passes over memory forward and two backward, chunk by chunk, in threads.

By compiled loops where numba is installed.
"""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import require_float32
from gpucnn.cpu.compiled import module
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.cpu.rows import Rows

_Saved = tuple[Array, Array, Array, Array]


def batch_norm_train(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Array, Array, _Saved]:
    """Return y, mean (C,), var (C,), and (x, mean, 1 / sqrt(var + eps), gamma)."""
    require_float32(x)
    if loops := module("batch_norm"):
        found: tuple[Array, Array, Array, _Saved] = loops.train(x, gamma, beta, eps, relu=False)
        return found
    x = contiguous(x)
    rows = Rows(x)
    count = np.float32(rows.count)
    mean = rows.sums(lambda part, out: np.add.reduce(rows.part(rows.x, part), axis=0, out=out)) / count
    means = rows.long(mean)

    def deviate(part: slice, out: Array) -> None:
        seen = _deviation(rows, x, means, part)
        np.add.reduce(np.square(seen, out=seen), axis=0, out=out)

    var = rows.sums(deviate) / count
    inverse = (1.0 / np.sqrt(var + np.float32(eps))).astype(np.float32)
    y = _scaled(x, mean, gamma * inverse, beta)
    return y, mean, var, (x, mean, inverse, gamma)


def batch_norm_eval(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> Array:
    """Return y for statistics that are given."""
    require_float32(x)
    if loops := module("batch_norm"):
        y: Array = loops.evaluate(x, gamma, beta, mean, var, eps, relu=False)
        return y
    return _scaled(contiguous(x), mean, gamma / np.sqrt(var + np.float32(eps)), beta)


def batch_norm_backward(dy: Array, saved: _Saved) -> tuple[Array, Array, Array]:
    """Return dx, dgamma (C,) and dbeta (C,)."""
    x, mean, inverse, gamma = saved
    require_float32(dy, x)
    if loops := module("batch_norm"):
        found: tuple[Array, Array, Array] = loops.backward(dy, saved, gamma, relu=False)
        return found
    rows, x, dx = Rows(contiguous(dy)), contiguous(x), empty(dy.shape)
    count, means = np.float32(rows.count), rows.long(mean)

    def add(part: slice, out: Array) -> None:
        gradients = rows.part(rows.x, part)
        np.add.reduce(gradients, axis=0, out=out[0])
        product = _deviation(rows, x, means, part)
        product *= gradients
        np.add.reduce(product, axis=0, out=out[1])

    dbeta, dgamma = rows.sums(add, sums=2)
    dgamma *= inverse
    of_dy, of_deviation = gamma * inverse, -gamma * inverse * inverse * dgamma / count
    constant = rows.long(-of_dy * dbeta / count)
    of_dy, of_deviation = rows.long(of_dy), rows.long(of_deviation)

    def work(part: slice) -> None:
        result = np.subtract(rows.part(x, part), means, out=rows.part(dx, part))
        result *= of_deviation
        result += np.multiply(rows.part(rows.x, part), of_dy, out=empty(result.shape))
        result += constant

    rows.each(work)
    return dx, dgamma, dbeta


def _deviation(rows: Rows, x: Array, means: Array, part: slice) -> Array:
    """Return x - mean of some long rows."""
    seen = rows.part(x, part)
    deviation: Array = np.subtract(seen, means, out=empty(seen.shape))
    return deviation


def _scaled(x: Array, mean: Array, scale: Array, shift: Array) -> Array:
    """Return (x - mean) scale + shift."""
    rows, y = Rows(x), empty(x.shape)
    means, scales, shifts = (rows.long(row) for row in (mean, scale, shift))

    def work(part: slice) -> None:
        result = np.subtract(rows.part(x, part), means, out=rows.part(y, part))
        result *= scales
        result += shifts

    rows.each(work)
    return y
