"""The error function, which NumPy lacks.

Source: W. J. Cody, "Rational Chebyshev approximation for the error function", Math. Comp. 23, 1969: relative error
below 1e-16 before rounding, from three ranges of |x|.
"""

from __future__ import annotations

import math

from gpucnn.backend import Array, array_module

# Numerators and denominators, highest power first.
_SMALL = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_MIDDLE = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
_LARGE = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip


def erf(x: Array) -> Array:
    """Return 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x, element by element, in x's dtype.

    >>> import numpy as np
    >>> erf(np.array([0.0, 1.0, -3.0]))
    array([ 0.        ,  0.84270079, -0.99997791])
    """
    xp = array_module(x)
    size = xp.abs(x)
    middle, large = xp.clip(size, 0.46875, 4.0), xp.maximum(size, 4.0)
    square = xp.minimum(size, 0.46875) ** 2
    small = x * (_polynomial(_SMALL[0], square) / _polynomial(_SMALL[1], square))
    complement = xp.exp(-middle * middle) * _polynomial(_MIDDLE[0], middle) / _polynomial(_MIDDLE[1], middle)
    inverse = 1.0 / (large * large)
    tail = inverse * _polynomial(_LARGE[0], inverse) / _polynomial(_LARGE[1], inverse)
    far = xp.exp(-large * large) / large * (1.0 / math.sqrt(math.pi) - tail)
    beyond = xp.sign(x) * (1.0 - xp.where(size <= 4.0, complement, far))
    result: Array = xp.where(size <= 0.46875, small, beyond)
    return result


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    result = coefficients[0] * x
    for coefficient in coefficients[1:-1]:
        result = (result + coefficient) * x
    return result + coefficients[-1]
