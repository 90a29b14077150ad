"""A kernel that does nothing for a while: work that is queued behind it then runs without waiting for Python."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Device
from gpucnn.cuda.machine import devices

SOURCE = r"""
extern "C" __global__ void spin(long long cycles) {
  long long began = clock64();
  while (clock64() - began < cycles) {}
}
"""


class Spin:
    """Keeps a CUDA device busy: `spin(seconds)` returns at once, and the device goes on after so many seconds."""

    def __init__(self, device: Device) -> None:
        self._kernel = device.xp.RawKernel(SOURCE, "spin")
        self._hertz = 1000.0 * (devices()[device.index]["clock_khz"] or 2_000_000)

    def __call__(self, seconds: float) -> None:
        """Launch it: one thread that counts the device's cycles."""
        self._kernel((1,), (1,), (np.int64(seconds * self._hertz),))
