"""Batch normalisation in three passes over memory forward and two backward, chunk by chunk, in threads."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import require_float32
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.cpu.rows import Rows


def batch_norm_train(
    x: Array, gamma: Array, beta: Array, eps: float
) -> tuple[Array, Array, Array, tuple[Array, Array, Array]]:
    """Return y, mean (C,), var (C,), and (x - mean, 1 / sqrt(var + eps), gamma)."""
    require_float32(x)
    rows = Rows(contiguous(x))
    count = np.float32(rows.count)
    mean = rows.sums(lambda part, out: np.add.reduce(rows.part(rows.x, part), axis=0, out=out)) / count
    deviation, means = empty(x.shape), rows.long(mean)

    def deviate(part: slice, out: Array) -> None:
        seen = np.subtract(rows.part(rows.x, part), means, out=rows.part(deviation, part))
        np.add.reduce(np.square(seen, out=empty(seen.shape)), axis=0, out=out)

    var = rows.sums(deviate) / count
    inverse = (1.0 / np.sqrt(var + np.float32(eps))).astype(np.float32)
    y = _scaled(rows, deviation, gamma * inverse, beta)
    return y, mean, var, (deviation, inverse, gamma)


def batch_norm_eval(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> Array:
    """Return y for statistics that are given."""
    require_float32(x)
    scale = gamma / np.sqrt(var + np.float32(eps))
    x = contiguous(x)
    return _scaled(Rows(x), x, scale, beta - mean * scale)


def batch_norm_backward(dy: Array, saved: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return dx, dgamma (C,) and dbeta (C,)."""
    deviation, inverse, gamma = saved
    require_float32(dy, deviation)
    rows, deviation, dx = Rows(contiguous(dy)), contiguous(deviation), empty(dy.shape)
    count = np.float32(rows.count)

    def add(part: slice, out: Array) -> None:
        gradients = rows.part(rows.x, part)
        np.add.reduce(gradients, axis=0, out=out[0])
        product = np.multiply(gradients, rows.part(deviation, part), out=empty(gradients.shape))
        np.add.reduce(product, axis=0, out=out[1])

    dbeta, dgamma = rows.sums(add, sums=2)
    dgamma *= inverse
    of_dy, of_deviation = gamma * inverse, -gamma * inverse * inverse * dgamma / count
    constant = rows.long(-of_dy * dbeta / count)
    of_dy, of_deviation = rows.long(of_dy), rows.long(of_deviation)

    def work(part: slice) -> None:
        result = np.multiply(rows.part(deviation, part), of_deviation, out=rows.part(dx, part))
        result += np.multiply(rows.part(rows.x, part), of_dy, out=empty(result.shape))
        result += constant

    rows.each(work)
    return dx, dgamma, dbeta


def _scaled(rows: Rows, x: Array, scale: Array, shift: Array) -> Array:
    """Return x scale + shift."""
    y, scales, shifts = empty(x.shape), rows.long(scale), rows.long(shift)

    def work(part: slice) -> None:
        result = np.multiply(rows.part(x, part), scales, out=rows.part(y, part))
        result += shifts

    rows.each(work)
    return y
