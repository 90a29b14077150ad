"""The matrices of Winograd's convolutions, F(4x4, 3x3) and F(4x4, 5x5), and the transforms of kernels.

m outputs of a correlation with r taps in one direction are a product of polynomials, found from its values at m + r - 2
points and at infinity (Cook and Toom): with a = m + r - 1, data d (a,) and taps g (r,)

    y = A^T [(G g) * (B^T d)]              one direction, * element by element
    Y = A^T [(G g G^T) * (B^T d B)] A      both directions: a*a products for m*m outputs, in place of m*m*r*r

that is 36 for 144 with 3x3, 64 for 400 with 5x5. Summed over channels, each of the a*a products is a matrix product of
(tiles, C) with (C, K). For the gradient of the kernels the same identity is read the other way round:

    dg = G^T [(B^T d B) * (A dY A^T)] G    summed over tiles: a*a matrix products of (C, tiles) with (tiles, K)

The points are 0, 1, -1, 2, -2 and, for 5x5, 1/2 and -1/2. Transforms make numbers grow before they cancel again, and
rounding errors with them: some ten times those of the direct sum on numbers as networks have them.

Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.memory import empty

M = 4
"""Outputs of a tile in each direction."""


@dataclass(frozen=True)
class Matrices:
    """B^T (a, a), G (a, r), A^T (m, a) and A (a, m), as float32 arrays."""

    data: Array
    taps: Array
    output: Array
    gradient: Array


@functools.cache
def exact_matrices(r: int) -> tuple[list[list[Fraction]], list[list[Fraction]], list[list[Fraction]]]:
    """Return B^T, G and A^T of F(4, r) in exact fractions.

    Row i of B^T has the coefficients of prod over j != i of (x - x_j), the last one those of the product over all j;
    row i of G evaluates the taps at x_i, divided by prod over j != i of (x_i - x_j); column i of A^T holds x_i^k.

    >>> [[str(number) for number in row] for row in exact_matrices(3)[1]][:3]
    [['1/4', '0', '0'], ['-1/6', '-1/6', '-1/6'], ['-1/6', '1/6', '-1/6']]
    """
    half = Fraction(1, 2)
    points = [*map(Fraction, (0, 1, -1, 2, -2)), half, -half][: M + r - 2]
    others = [[q for q in points if q != p] for p in points]
    data = [[*_from_roots(roots), Fraction(0)] for roots in others] + [_from_roots(points)]
    scales = [_value(_from_roots(roots), p) for p, roots in zip(points, others, strict=True)]
    taps = [[p**k / scale for k in range(r)] for p, scale in zip(points, scales, strict=True)]
    taps.append([Fraction(k == r - 1) for k in range(r)])
    output = [[*(p**k for p in points), Fraction(k == M - 1)] for k in range(M)]
    return data, taps, output


@functools.cache
def matrices(r: int) -> Matrices:
    """Return the matrices of F(4, r)."""
    data, taps, output = (np.array(matrix, dtype=np.float32) for matrix in exact_matrices(r))
    return Matrices(data, taps, output, np.ascontiguousarray(output.T))


def transformed_kernels(w: Array) -> Array:
    """Return U (a*a, 1, C, K) = G w G^T for kernels w (K, r, r, C)."""
    k, r, _, c = w.shape
    taps = matrices(r).taps
    rows = taps @ w.transpose(1, 2, 3, 0).reshape(r, r * c * k)
    both = np.matmul(taps, rows.reshape(len(taps), r, c * k), out=empty((len(taps), len(taps), c * k)))
    return both.reshape(-1, 1, c, k)


def kernel_gradient(products: Array, r: int) -> Array:
    """Return dw (K, r, r, C) = G^T S G for the summed products S (a*a, C, K)."""
    taps, (_, c, k) = matrices(r).taps, products.shape
    a = len(taps)
    rows = taps.T @ products.reshape(a, a * c * k)
    dw = np.matmul(taps.T, rows.reshape(r, a, c * k)).reshape(r, r, c, k)
    return np.ascontiguousarray(dw.transpose(3, 0, 1, 2))


def _from_roots(roots: list[Fraction]) -> list[Fraction]:
    """Return the coefficients of prod (x - root), the lowest first."""
    polynomial = [Fraction(1)]
    for root in roots:
        raised = [Fraction(0), *polynomial]
        polynomial = [high - root * low for high, low in zip(raised, [*polynomial, Fraction(0)], strict=True)]
    return polynomial


def _value(polynomial: list[Fraction], x: Fraction) -> Fraction:
    return sum((c * x**k for k, c in enumerate(polynomial)), Fraction(0))
