"""Dropout with its random numbers in one pass: Philox 4x32-10, as `gpucnn.random`, bit for bit."""

from __future__ import annotations

import math

import numpy as np

from gpucnn.backend import Array
from gpucnn.cpu.blocks import over
from gpucnn.cpu.compiled.jit import compiled
from gpucnn.cpu.images import contiguous
from gpucnn.cpu.memory import empty
from gpucnn.random import MULTIPLIERS, Stream, round_keys

CHUNK = 1 << 16
"""Numbers that a thread draws at a time."""

FIRST, SECOND = (np.uint64(multiplier) for multiplier in MULTIPLIERS)


def dropout(x: Array, rate: float, stream: Stream, start: int) -> tuple[Array, Array]:
    """Return y, and which elements are kept: 0 where stream.uniform(x.shape, start=start) < rate, else 1."""
    y, kept, keys = empty(x.shape), empty(x.shape, np.uint8), np.array(round_keys(stream.seed), np.uint64)
    given, out, chosen = contiguous(x).reshape(-1), y.reshape(-1), kept.reshape(-1)
    scale, least = np.float32(1 / (1 - rate)), math.ceil(float(np.float32(rate)) * 2**24)
    step, number = np.uint64(stream.step), np.uint64(stream.number)

    def work(part: slice) -> None:
        first = start + part.start
        bits = empty((4 * (-(-(first + part.stop - part.start) // 4) - first // 4),), np.uint32)
        _philox(np.uint64(first // 4), step, number, keys, bits)
        _dropped(given[part], bits[first % 4 :], np.uint32(least), scale, out[part], chosen[part])

    over(x.size, work, CHUNK)
    return y, kept


@compiled
def _philox(block: np.uint64, step: np.uint64, number: np.uint64, keys: Array, bits: Array) -> None:
    """Write the words of blocks `block`, `block` + 1 and so on, four each."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for i in range(bits.size // 4):
        c0, c1, c2, c3 = block + np.uint64(i), np.uint64(0), step, number
        for k in range(len(keys)):
            first, second = c0 * FIRST, c2 * SECOND
            c0, c1 = (second >> shift) ^ c1 ^ keys[k, 0], second & low
            c2, c3 = (first >> shift) ^ c3 ^ keys[k, 1], first & low
        bits[4 * i], bits[4 * i + 1], bits[4 * i + 2], bits[4 * i + 3] = c0, c1, c2, c3


@compiled
def _dropped(x: Array, bits: Array, least: np.uint32, scale: np.float32, y: Array, kept: Array) -> None:
    """Keep elements whose 24 random bits are `least` or more."""
    for z in range(x.size):
        keeps = bits[z] >> np.uint32(8) >= least
        kept[z] = keeps
        y[z] = x[z] * (scale if keeps else np.float32(0))
