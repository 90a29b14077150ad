"""Winograd's transforms as instructions: a small constant matrix, times tiles of vectors, times its transpose.

They are written out from the exact matrices of `winograd_matrices`, zeros and ones left out, and with what two rows or
two columns have in common computed once: those of the points p and -p are equal but for signs.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from gpucnn.cpu.compiled.vectors import (
    FUSED,
    PAST,
    RELU,
    at,
    constant,
    flagged,
    instructions,
    load,
    rectified,
    signature,
    store,
    times,
)
from gpucnn.cpu.winograd_matrices import M, exact_matrices

Row = Sequence[Fraction]


def matrix(kind: str, r: int) -> list[list[Fraction]]:
    """Return the matrix of a transform: of data, taps or gradients to products; back to outputs or to taps."""
    data, taps, output = exact_matrices(r)
    turned = {"gradient": output, "kernels": taps}
    if kind in turned:
        return [list(column) for column in zip(*turned[kind], strict=True)]
    return {"data": data, "taps": taps, "output": output}[kind]


@intrinsic(prefer_literal=True)
def transform(typing, kind, r, x, xo, xi, xj, out, oo, oi, oj):
    """Write T X T^T to out: X[i, j] is the vector at x[xo + i * xi + j * xj], results go to out[oo + i * oi + j * oj].

    kind, r: which T, known when the code is written.
    """
    rows = matrix(kind.literal_value, r.literal_value)

    def written(builder: Any, x: Any, xo: Any, xi: Any, xj: Any, out: Any, oo: Any, oi: Any, oj: Any) -> None:
        for i, line in enumerate(_both(builder, rows, x, xo, xi, xj)):
            for j, vector in enumerate(line):
                store(builder, vector, at(builder, out, oo, times(builder, oi, i), times(builder, oj, j)))

    return signature((kind, r, x, xo, xi, xj, out, oo, oi, oj), 2), instructions(2, written)


@intrinsic(prefer_literal=True)
def outputs(typing, r, x, xo, xi, xj, b, bo, y, yo, yi, yj, high, wide, mode):
    """Write A^T X A + b to y, of its rows the first `high` and of its columns the first `wide`; b: one vector.

    mode: WRITE them, or PAST the caches, and RELU, see `vectors.contract`.
    """
    rows = matrix("output", r.literal_value)

    def written(builder: Any, x: Any, xo: Any, xi: Any, xj: Any, b: Any, bo: Any, *rest: Any) -> None:
        y, yo, yi, yj, high, wide, mode = rest
        bias = load(builder, at(builder, b, bo))
        found = [[builder.fadd(vector, bias) for vector in line] for line in _both(builder, rows, x, xo, xi, xj)]
        relu = flagged(builder, mode, RELU)
        found = [[builder.select(relu, rectified(builder, vector), vector) for vector in line] for line in found]

        def put(i: int, j: int, past: bool = False) -> None:
            store(builder, found[i][j], at(builder, y, yo, times(builder, yi, i), times(builder, yj, j)), past)

        def fits(count: Any, needed: int) -> Any:
            return builder.icmp_signed(">=", count, ir.IntType(64)(needed))

        with builder.if_else(builder.and_(fits(high, M), fits(wide, M))) as (whole, part):
            with whole, builder.if_else(flagged(builder, mode, PAST)) as (away, near):
                for branch, far in ((away, True), (near, False)):
                    with branch:
                        for i in range(M):
                            for j in range(M):
                                put(i, j, far)
            with part:
                for i in range(M):
                    for j in range(M):
                        with cgutils.if_likely(builder, builder.and_(fits(high, i + 1), fits(wide, j + 1))):
                            put(i, j)

    return signature((r, x, xo, xi, xj, b, bo, y, yo, yi, yj, high, wide, mode), 1), instructions(1, written)


def _both(builder: Any, rows: Sequence[Row], x: Any, xo: Any, xi: Any, xj: Any) -> list[list[Any]]:
    """Return T X T^T as vectors: first along columns, then along rows."""
    size = range(len(rows[0]))
    seen = [
        [load(builder, at(builder, x, xo, times(builder, xi, i), times(builder, xj, j))) for i in size] for j in size
    ]
    columns = [multiplied(rows, vectors, *_sums(builder)) for vectors in seen]
    return [multiplied(rows, list(line), *_sums(builder)) for line in zip(*columns, strict=True)]


def _sums(builder: Any) -> tuple[Callable[[Any, Any], Any], ...]:
    return (
        lambda a, b: builder.fadd(a, b, flags=FUSED),
        lambda a, b: builder.fsub(a, b, flags=FUSED),
        lambda factor, a: builder.fmul(constant(factor), a, flags=FUSED),
    )


def multiplied(rows: Sequence[Row], x: list[Any], add: Any, subtract: Any, scale: Any) -> list[Any]:
    """Return T x for the rows of T, by three functions: a + b, a - b, and a constant times a.

    >>> from operator import add, mul, sub
    >>> multiplied([[1, 2, 1], [1, -2, 1]], [10, 1, 5], add, sub, mul)
    [17, 13]
    """
    rows, x = _column_pairs(rows, x, add, subtract)
    found: list[Any] = []
    for i, row in enumerate(rows):
        if len(found) > i:
            continue
        after = rows[i + 1] if i + 1 < len(rows) else row
        same, turned = ([a if a == sign * b else 0 for a, b in zip(row, after, strict=True)] for sign in (1, -1))
        if all(map(_equal_but_for_sign, row, after)) and any(same) and any(turned):
            common, rest = (_product(part, x, add, subtract, scale) for part in (same, turned))
            found += [add(common, rest), subtract(common, rest)]
        else:
            found.append(_product(row, x, add, subtract, scale))
    return found


def _column_pairs(given: Sequence[Row], x: list[Any], add: Any, subtract: Any) -> tuple[list[list[Any]], list[Any]]:
    """Return rows and x, where neighbours that are only added or subtracted became their sum and difference."""
    rows: list[list[Any]] = [list(row) for row in given]
    x = list(x)
    for j in range(1, len(x) - 1, 2):
        pairs = [(row[j], row[j + 1]) for row in rows]
        if all(_equal_but_for_sign(a, b) for a, b in pairs) and len({a == b for a, b in pairs if a}) == 2:
            x[j], x[j + 1] = add(x[j], x[j + 1]), subtract(x[j], x[j + 1])
            for row, (a, b) in zip(rows, pairs, strict=True):
                row[j], row[j + 1] = (a, 0) if a == b else (0, a)
    return rows, x


def _equal_but_for_sign(a: Any, b: Any) -> bool:
    return bool(abs(a) == abs(b))


def _product(row: Sequence[Any], x: list[Any], add: Any, subtract: Any, scale: Any) -> Any:
    """Return the sum of the row's factors times x; those above zero first."""
    terms = sorted(((factor, value) for factor, value in zip(row, x, strict=True) if factor), key=lambda t: t[0] < 0)
    (first, value), *others = terms
    total = value if first == 1 else scale(first, value)
    for factor, value in others:
        term = value if abs(factor) == 1 else scale(abs(factor), value)
        total = (add if factor > 0 else subtract)(total, term)
    return total
