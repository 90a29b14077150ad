"""How far two computations of the same numbers may be apart: by rounding, and no further.

A sum of n terms, taken in any order, is off by n roundings, each of up to eps / 2 of what is summed so far. Roundings
go both ways, so that together they grow like sqrt(n) (N. Higham and T. Mary, "A new approach to probabilistic
rounding error analysis", SIAM J. Sci. Comput. 41, 2019); terms of both signs, of which a layer's sums consist, grow
like sqrt(n) too. What is left, relative to the largest number of an array, is eps sqrt(n) times a constant near 1;
`SAFETY` covers both sides, the extremes of an array, and the few more roundings of norms and activations. In float64
a difference may be as large as `FLOAT64` in any case, which no mistake that matters stays below. What is stored in a
half is summed in float32 and rounded once, so that two of its neighbours may stand for the same sum: one eps more.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpucnn.backend import Array
from gpucnn.halves import EPS, accumulator
from gpucnn.layers.base import Layer

SAFETY = 16.0
FLOAT64 = 1e-10
SHARE = 0.01
"""Of the largest gradient of a layer's parameters: what smaller ones are held against."""


def limit(dtype: Any, terms: float, times: float = 1.0) -> float:
    """Return the largest relative difference that sums of so many terms explain, `times` over.

    >>> f"{limit(np.float32, 576):.1e}", f"{limit(np.float16, 576):.1e}", limit(np.float64, 576)
    ('4.6e-05', '1.0e-03', 1e-10)
    """
    dtype = np.dtype(dtype)
    summed = accumulator(dtype)
    derived = times * (SAFETY * float(np.finfo(summed).eps) * math.sqrt(max(1.0, terms)) + EPS.get(dtype.name, 0.0))
    return max(derived, FLOAT64) if summed == np.float64 else derived


def terms(layer: Layer, images: int) -> tuple[float, float, float]:
    """Return how many terms an element is a sum of: of a layer's output, its input's gradient, its parameters'.

    Half of a layer's operations are additions, shared out among the elements; a parameter's gradient is a sum over
    images and positions, and so is what a layer with running statistics (batch norm) takes off its elements.
    """
    inputs, outputs = math.prod(layer.input_shape), math.prod(layer.output_shape(layer.input_shape))
    positions = images * math.prod(layer.output_shape(layer.input_shape)[:-1])
    additions = layer.flops(layer.input_shape) / 2
    shared = positions if layer.state else 1
    return max(additions / outputs, inputs / outputs, shared), max(additions / inputs, shared), positions


def relative_error(actual: Array, expected: Array, scale: float = 0.0) -> float:
    """Return the largest difference divided by the largest number of `expected`; infinity where they do not compare.

    scale: the largest number of what belongs to it. Where `expected` is all but zero beside that, a hundredth of it
    is what differences are held against: the gradient of a bias before a batch norm is zero, but for rounding.

    >>> relative_error(np.array([1.0, 2.02]), np.array([1.0, 2.0])).__round__(6)
    0.01
    """
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return math.inf
    if not expected.size:
        return 0.0
    with np.errstate(all="ignore"):
        wanted = expected.astype(np.float64)
        difference, largest = float(np.abs(actual - wanted).max()), max(float(np.abs(wanted).max()), SHARE * scale)
    if not math.isfinite(difference) or not math.isfinite(largest):
        return math.inf
    return 0.0 if difference == 0 else difference / largest if largest else math.inf
