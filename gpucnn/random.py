"""Random numbers as a function of (seed, purpose, step, index): Philox 4x32-10, the same bits on every device.

Nothing is stateful. A dropout mask, a crop or a permutation is drawn from a `Stream`, which is named by what it is
for and by the step or epoch it belongs to; drawing it again gives the same numbers. A run is therefore resumed
exactly by knowing its step, and any worker may compute any batch.

Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpucnn.backend import Array, Shape

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = 0xFFFFFFFF
_BLOCK = 1 << 13  # pairs of numbers that are drawn at a time


def round_keys(seed: int) -> list[tuple[int, int]]:
    """Return (k0, k1) for each of Philox' rounds.

    >>> round_keys(1)[1] == (0x9E3779B9 + 1, 0xBB67AE85)
    True
    """
    return [(seed + i * _KEY_STEPS[0] & _LOW, (seed >> 32) + i * _KEY_STEPS[1] & _LOW) for i in range(_ROUNDS)]


def philox(counter: tuple[Any, Any, Any, Any], seed: int, xp: Any = np) -> Array:
    """Return the four 32-bit words of Philox 4x32-10 for each counter, as uint32 of shape (..., 4).

    counter: four broadcastable arrays or numbers of 32 bits. seed: the key, 64 bits.
    One round maps (c0, c1, c2, c3) to (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)).

    >>> [hex(word) for word in philox((0, 0, 0, 0), seed=0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = xp.broadcast_arrays(*(xp.asarray(word, dtype=xp.uint64) for word in counter))
    for keys in round_keys(seed):
        first, second = c0 * xp.uint64(MULTIPLIERS[0]), c2 * xp.uint64(MULTIPLIERS[1])
        k0, k1 = xp.uint64(keys[0]), xp.uint64(keys[1])
        shift, low = xp.uint64(32), xp.uint64(_LOW)
        c0, c1, c2, c3 = (second >> shift) ^ c1 ^ k0, second & low, (first >> shift) ^ c3 ^ k1, first & low
    words: Array = xp.stack([c0, c1, c2, c3], axis=-1).astype(xp.uint32)
    return words


@dataclass(frozen=True)
class Stream:
    """Random numbers for one purpose at one step: equal arguments give equal numbers.

    >>> Stream(seed=0, purpose="dropout", step=3).uniform((2,)).dtype
    dtype('float32')
    """

    seed: int
    purpose: str
    step: int = 0
    now: Array | None = field(default=None, compare=False)
    """The step where only the device knows it, int32 (1,): in place of `step`."""

    @property
    def number(self) -> int:
        """The purpose as 32 bits, the last word of every counter."""
        return zlib.crc32(self.purpose.encode())

    def at(self, indices: Any, count: int, xp: Any = np) -> Array:
        """Return `count` 32-bit words for each index, shape (len(indices), count): independent of its neighbours."""
        blocks = xp.arange(-(-count // 4), dtype=xp.uint64)[None, :]
        rows = xp.asarray(indices, dtype=xp.uint64)[:, None]
        step = self.step if self.now is None else self.now
        words = philox((rows, blocks, step, self.number), self.seed, xp)
        bits: Array = words.reshape(len(rows), 4 * blocks.size)[:, :count]
        return bits

    def bits(self, count: int, xp: Any = np, start: int = 0) -> Array:
        """Return `count` uniform 32-bit words, from the stream's word `start` on."""
        blocks = xp.arange(start // 4, -(-(start + count) // 4))
        return self.at(blocks, 4, xp).reshape(-1)[start % 4 : start % 4 + count]

    def uniform(self, shape: Shape, dtype: Any = np.float32, xp: Any = np, start: int = 0) -> Array:
        """Return numbers in [0, 1) of `shape`, from the stream's number `start` on.

        They have 24 random bits in float32, 53 in float64.
        """
        count = int(np.prod(shape))
        if np.dtype(dtype) == np.float64:
            words = self.bits(2 * count, xp, 2 * start).astype(xp.uint64)
            bits = ((words[0::2] << xp.uint64(32)) | words[1::2]) >> xp.uint64(11)
        else:
            bits = self.bits(count, xp, start) >> xp.uint32(8)
        numbers: Array = bits.reshape(shape).astype(dtype)
        numbers *= np.dtype(dtype).type(2.0**-53 if np.dtype(dtype) == np.float64 else 2.0**-24)
        return numbers

    def normal(self, shape: Shape, xp: Any = np) -> Array:
        """Return standard normal float64 numbers of `shape`, by the Box-Muller transform."""
        count = int(np.prod(shape))
        numbers: Array = xp.empty((-(-count // 2), 2))
        for start in range(0, len(numbers), _BLOCK):  # what is computed on the way stays in the cache
            block = numbers[start : start + _BLOCK]
            pairs = self.uniform(block.shape, np.float64, xp, start=2 * start)
            radius, angle = xp.sqrt(-2.0 * xp.log1p(-pairs[:, 0])), 2.0 * np.pi * pairs[:, 1]
            block[:, 0], block[:, 1] = radius * xp.cos(angle), radius * xp.sin(angle)
        return numbers.reshape(-1)[:count].reshape(shape)

    def permutation(self, count: int, xp: Any = np) -> Array:
        """Return 0 .. count - 1 in random order, as int64: that of the stream's words, equal ones as they come."""
        order: Array = self.bits(count, xp).astype(xp.uint64)
        order <<= xp.uint64(32)
        order |= xp.arange(count, dtype=xp.uint64)  # numbers are sorted several times as fast as places are by them
        order.sort()
        order &= xp.uint64(_LOW)
        return order.view(xp.int64)


def below(words: Array, limit: int) -> Array:
    """Return random 32-bit words as integers from 0 to below `limit`: floor(word limit / 2^32), int64.

    >>> below(np.array([0, 2**31, 2**32 - 1], np.uint32), 10).tolist()
    [0, 5, 9]
    """
    integers: Array = ((words.astype(np.uint64) * np.uint64(limit)) >> np.uint64(32)).astype(np.int64)
    return integers


@dataclass(frozen=True)
class Step:
    """One training step: what a layer needs to know to draw its random numbers.

    first: the place in the step's batch of the first image at hand, where the batch is computed in parts.
    now: int32 (1,), the index where only the device knows it, in place of `index`.
    """

    seed: int
    index: int
    first: int = 0
    now: Array | None = field(default=None, compare=False)

    def stream(self, purpose: str) -> Stream:
        """Return the numbers that `purpose` (a layer's path, say) draws in this step."""
        return Stream(self.seed, purpose, self.index, self.now)
