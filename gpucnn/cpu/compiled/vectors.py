"""Vector instructions that loops are written with: LLVM is told of them directly, so that none is left to its guess.

Each function here becomes a few instructions inside the compiled function that calls it. Arrays stand for where their
first number is; offsets and strides count numbers, and nobody checks them. `LANES` numbers in a row are one vector.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from gpucnn.backend import Array

_FEATURES = get_host_cpu_features()

LANES = 16 if "+avx512f," in _FEATURES else 8 if "+avx2," in _FEATURES else 4
"""Numbers of a vector: what a register of this CPU holds."""

_REGISTERS = 16 if "+sse2," in _FEATURES and LANES < 16 else 32
"""Vectors that the CPU holds: 32 with AVX-512, and on ARM."""

WIDE = _REGISTERS // 4
"""Rows that `contract` computes at a time, two vectors in each: half of the registers hold their sums."""

NARROW = 2 * WIDE
"""The same with one vector in each."""

TALL = 3 * WIDE // 2
"""The most rows of two vectors for whose sums there are registers."""

WRITE, ADD, PAST, RELU = 0, 1, 2, 4
"""What becomes of sums, or of several of these together, `PAST | RELU`: see `contract`."""

PAST_BYTES = 1 << 22
"""From what size on an array is written past the caches: it would push out of them what is needed sooner."""

VECTOR = ir.VectorType(ir.FloatType(), LANES)
FUSED = ("contract",)
"""a times b plus c may be one instruction."""

_INT = ir.IntType(64)


def at(builder: Any, pointer: Any, *offsets: Any) -> Any:
    """Return the address so many numbers further."""
    for offset in offsets:
        pointer = builder.gep(pointer, [offset])
    return pointer


def times(builder: Any, offset: Any, count: int) -> Any:
    """Return an offset times a constant."""
    return builder.mul(offset, _INT(count))


def load(builder: Any, pointer: Any) -> Any:
    """Return the vector that begins there."""
    return builder.load(builder.bitcast(pointer, VECTOR.as_pointer()), align=4)


def store(builder: Any, vector: Any, pointer: Any, past: bool = False) -> None:
    """Write a vector there. past: to memory, past the caches; only to a multiple of its size."""
    written = builder.store(vector, builder.bitcast(pointer, VECTOR.as_pointer()), align=4 * LANES if past else 4)
    if past:
        written.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))


def far(y: Array) -> bool:
    """Return whether y, whose channels stand side by side, is written past the caches: large, and whole vectors all.

    A vector must be a line of the cache, or memory would be written in halves.
    """
    if LANES != 16 or y.nbytes < PAST_BYTES:
        return False
    return not any(place % (4 * LANES) for place in (y.ctypes.data, 4 * y.shape[-1], *y.strides[:-1]))


def mode_of(y: Array, relu: bool) -> int:
    """Return how results are written to y, or their relu."""
    return (PAST if far(y) else WRITE) | (RELU if relu else WRITE)


def constant(value: float) -> Any:
    """Return a vector of one value."""
    return ir.Constant(VECTOR, [float(value)] * LANES)


def instructions(known: int, written: Callable[..., None]) -> Callable[..., Any]:
    """Return the code generator of an intrinsic: `written(builder, *arguments)`, arrays as their first numbers' places.

    known: how many arguments, the first ones, are known when the code is written and are left out.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        plain = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args, args, strict=True)
        ]
        written(builder, *plain[known:])
        return context.get_dummy_value()

    return generate


def signature(arguments: tuple[Any, ...], known: int) -> Any:
    """Return the types of an intrinsic's arguments: those known when code is written, arrays, and whole numbers."""
    kinds = [kind if isinstance(kind, types.Array) else types.intp for kind in arguments[known:]]
    return types.void(*arguments[:known], *kinds)


def rectified(builder: Any, vector: Any) -> Any:
    """Return the larger of a vector's numbers and 0; NaN stays NaN."""
    zero = constant(0.0)
    return builder.select(builder.fcmp_ordered("<", vector, zero), zero, vector)


def flagged(builder: Any, mode: Any, flag: int) -> Any:
    """Return whether a mode, known when the code runs, holds a flag."""
    return builder.icmp_signed("!=", builder.and_(mode, _INT(flag)), _INT(0))


@intrinsic(prefer_literal=True)
def contract(typing, rows, vectors, begin, eo, a, ao, ar, am, an, b, bo, bm, bn, m, n, mode, out, oo, ow):
    """Write sums of products of numbers of `a` with vectors of `b`, some rows of some vectors each.

        out[oo + row * ow + lane] = begin[eo + lane]
            + sum over i < m, j < n of a[ao + row * ar + i * am + j * an] * b[bo + i * bm + j * bn + lane]

    mode: WRITE them, ADD them to what is there, write them PAST the caches, where each vector is aligned, RELU: what is
    below zero becomes zero. Sums stay in registers. rows, vectors: known when the code is written.
    """

    def factors(builder: Any, place: Any, length: int) -> list[Any]:
        return [spread(builder, builder.load(place))] * length

    arguments = (rows, vectors, begin, eo, a, ao, ar, am, an, b, bo, bm, bn, m, n, mode, out, oo, ow)
    return signature(arguments, 2), instructions(2, _sums(rows.literal_value, vectors.literal_value, factors))


@intrinsic(prefer_literal=True)
def contract_channels(typing, rows, vectors, begin, eo, a, ao, ar, am, an, b, bo, bm, bn, m, n, mode, out, oo, ow):
    """Write sums of products of vectors of `a` with vectors of `b`: as `contract`, but each channel with its own.

    out[oo + row * ow + lane] = begin[eo + lane]
        + sum over i < m, j < n of a[ao + row * ar + i * am + j * an + lane] * b[bo + i * bm + j * bn + lane]
    """

    def factors(builder: Any, place: Any, length: int) -> list[Any]:
        return [load(builder, at(builder, place, _INT(lane * LANES))) for lane in range(length)]

    arguments = (rows, vectors, begin, eo, a, ao, ar, am, an, b, bo, bm, bn, m, n, mode, out, oo, ow)
    return signature(arguments, 2), instructions(2, _sums(rows.literal_value, vectors.literal_value, factors))


def _sums(height: int, length: int, factors_at: Callable[[Any, Any, int], list[Any]]) -> Callable[..., None]:
    """Return what writes the code of `contract`; factors_at: what each of the vectors at a place is multiplied by."""
    tile = [(row, lane) for row in range(height) for lane in range(length)]

    def written(builder: Any, *given: Any) -> None:
        begin, eo, a, ao, ar, am, an, b, bo, bm, bn, m, n, mode, out, oo, ow = given

        sums = {place: cgutils.alloca_once(builder, VECTOR) for place in tile}
        for row, lane in tile:
            builder.store(load(builder, at(builder, begin, eo, _INT(lane * LANES))), sums[row, lane])
        with cgutils.for_range(builder, m, intp=_INT) as outer:
            line = at(builder, a, ao, builder.mul(outer.index, am))
            beside = at(builder, b, bo, builder.mul(outer.index, bm))
            begins = [at(builder, line, times(builder, ar, row)) for row in range(height)]
            with cgutils.for_range(builder, n, intp=_INT) as inner:
                step, met = builder.mul(inner.index, an), at(builder, beside, builder.mul(inner.index, bn))
                vectors_of_b = [load(builder, at(builder, met, _INT(lane * LANES))) for lane in range(length)]
                factors = [factors_at(builder, at(builder, start, step), length) for start in begins]
                for row, lane in tile:
                    product = builder.fmul(factors[row][lane], vectors_of_b[lane], flags=FUSED)
                    total = builder.fadd(builder.load(sums[row, lane]), product, flags=FUSED)
                    builder.store(total, sums[row, lane])
        places = {(row, lane): at(builder, out, oo, times(builder, ow, row), _INT(lane * LANES)) for row, lane in tile}
        with builder.if_then(flagged(builder, mode, ADD)):
            for place in tile:
                builder.store(builder.fadd(builder.load(sums[place]), load(builder, places[place])), sums[place])
        with builder.if_then(flagged(builder, mode, RELU)):
            for place in tile:
                builder.store(rectified(builder, builder.load(sums[place])), sums[place])
        with builder.if_else(flagged(builder, mode, PAST)) as (past, near):
            for branch, far in ((past, True), (near, False)):
                with branch:
                    for place in tile:
                        store(builder, builder.load(sums[place]), places[place], past=far)

    return written


def spread(builder: Any, number: Any) -> Any:
    """Return a vector of one number."""
    nothing, index = ir.Constant(VECTOR, ir.Undefined), ir.IntType(32)
    one = builder.insert_element(nothing, number, index(0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(index, LANES), [0] * LANES))


@intrinsic
def copy(typing, x, xo, out, oo, count):
    """Write x[xo : xo + count] to out[oo : oo + count]."""

    def written(builder: Any, x: Any, xo: Any, out: Any, oo: Any, count: Any) -> None:
        cgutils.raw_memcpy(builder, at(builder, out, oo), at(builder, x, xo), count, 4)

    return signature((x, xo, out, oo, count), 0), instructions(0, written)


@intrinsic
def clear(typing, out, oo, count):
    """Write zeros to out[oo : oo + count]."""

    def written(builder: Any, out: Any, oo: Any, count: Any) -> None:
        cgutils.memset(builder, at(builder, out, oo), times(builder, count, 4), 0)

    return signature((out, oo, count), 0), instructions(0, written)
