"""What a device can do at best, measured: operations a second of a large product, bytes a second of a large copy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucnn.backend import Array, Device
from gpucnn.cpu import threads
from gpucnn.halves import accumulator

ROUNDS = 5
COPY_BYTES = 2**28
"""Of the array that is copied: far more than caches hold."""

CPU_SIZE, GPU_SIZE = 2048, 8192
"""Of the square matrices; in float64, in which most GPUs are slow, half of that on a GPU."""

BLOCKS = 64
"""Into how many parts the copy on a CPU is cut, for all threads that compute to share in."""


@dataclass(frozen=True)
class Peaks:
    """Floating-point operations a second, and bytes a second, those read and those written.

    No part of a step can do better than its roofline, the lower of the two bounds that follow, unless its operands
    stay in a cache, or its algorithm needs fewer operations than are counted.
    """

    flops: float
    bytes: float

    def seconds(self, flops: float, size: float) -> float:
        """Return the least time for so many operations and bytes.

        >>> Peaks(flops=100.0, bytes=10.0).seconds(200.0, 10.0), Peaks(100.0, 10.0).seconds(200.0, 40.0)
        (2.0, 4.0)
        """
        return max(flops / self.flops, size / self.bytes)

    def best(self, other: Peaks) -> Peaks:
        """Return the higher ones of two measurements."""
        return Peaks(max(self.flops, other.flops), max(self.bytes, other.bytes))


def measured(device: Device, dtype: Any) -> Peaks:
    """Return the peaks of a device for numbers of `dtype`: the best of some rounds each."""
    if device.kind == "cpu":
        dtype = accumulator(dtype)  # which halves are computed in
    size = CPU_SIZE if device.kind == "cpu" else GPU_SIZE * 4 // np.dtype(dtype).itemsize
    product, copy = _product_seconds(device, dtype, size), _copy_seconds(device)
    device.release()
    return Peaks(2 * size**3 / product, 2 * COPY_BYTES / copy)


def _product_seconds(device: Device, dtype: Any, size: int) -> float:
    """Return how long the product of two square matrices takes, by BLAS or cuBLAS, as it comes."""
    random = np.random.default_rng(0)  # a GPU is faster with constant numbers, as its transistors switch less
    a, b = (device.asarray(random.random((size, size), np.float32), dtype) for _ in range(2))
    y = device.xp.empty_like(a)
    return _best(device, lambda: device.xp.matmul(a, b, out=y))


def _copy_seconds(device: Device) -> float:
    source, target = (device.xp.full((BLOCKS, COPY_BYTES // BLOCKS), value, np.uint8) for value in (1, 0))
    return _best(device, lambda: _copy(source, target, device))


def _copy(source: Array, target: Array, device: Device) -> None:
    """Copy an array: on the CPU by all threads that compute."""

    def block(i: int) -> None:
        target[i] = source[i]

    if device.kind == "cpu":
        threads.run(block, BLOCKS)
    else:
        target[...] = source


def _best(device: Device, call: Callable[[], object]) -> float:
    """Return the fewest seconds that a call took once it was warm."""
    times = []
    for _ in range(ROUNDS + 1):
        synchronize(device)
        began = time.perf_counter()
        call()
        synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])


def synchronize(device: Device) -> None:
    """Wait until the device has done all it was asked for."""
    if device.kind != "cpu":
        device.xp.cuda.Device(device.index).synchronize()
