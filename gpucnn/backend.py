"""The array module: NumPy on the CPU, CuPy on an NVIDIA GPU. The only door to CuPy.

Operations ask `array_module(x)` for the module of the arrays they were handed; the trainer asks `Device` where
new arrays shall live. CuPy is imported when a CUDA device is first asked for, never before.
"""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gpucnn.errors import ArgumentError, DeviceError

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array, or a CuPy array that is used through the same calls."""

Shape: TypeAlias = tuple[int, ...]


def array_module(x: Any) -> Any:
    """Return the module, `numpy` or `cupy`, whose array `x` is.

    >>> array_module(np.zeros(3)).__name__
    'numpy'
    """
    if isinstance(x, (np.ndarray, np.generic)):
        return np
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(x, cupy.ndarray):
        return cupy
    raise ArgumentError(f"expected a NumPy or CuPy array, got {type(x).__name__}: convert it with numpy.asarray")


def to_numpy(x: Any) -> Array:
    """Return `x` as a NumPy array, copied from the GPU where it lives there."""
    array: Array = x if isinstance(x, np.ndarray) else x.get() if hasattr(x, "get") else np.asarray(x)
    return array


@dataclass(frozen=True)
class Device:
    """Where a run's arrays live: the CPU, or one CUDA device.

    >>> Device.named("cpu").asarray([1.0, 2.0], np.float32)
    array([1., 2.], dtype=float32)
    """

    kind: str
    index: int = 0

    @staticmethod
    def named(name: str) -> Device:
        """Return the device called `cpu`, `cuda`, `cuda:N` or `auto` (the first CUDA device, else the CPU).

        Raises DeviceError, with what to install or choose, where it cannot be used.
        """
        match = re.fullmatch(r"(auto|cpu|cuda)|cuda:(\d+)", name)
        if match is None:
            raise ArgumentError(f"device (={name!r}) must be auto, cpu, cuda or cuda:N")
        if name == "cpu":
            return Device("cpu")
        try:
            return _cuda(int(match[2] or 0))
        except DeviceError:
            if name == "auto":
                return Device("cpu")
            raise

    @property
    def xp(self) -> Any:
        """The array module of this device."""
        return np if self.kind == "cpu" else importlib.import_module("cupy")

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return `x` as an array of this device, copied only where it has to be."""
        if self.kind == "cpu":
            return np.asarray(to_numpy(x), dtype)
        with self.xp.cuda.Device(self.index):
            array: Array = self.xp.asarray(x, dtype)
            return array

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"


def _cuda(index: int) -> Device:
    """Return CUDA device `index` once CuPy, its driver and the device are known to answer."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise DeviceError(
            f"device cuda needs CuPy, which cannot be imported ({error}): "
            'pip install "gpucnn[cuda13]" for CUDA 13, "gpucnn[cuda12]" for CUDA 12, or set device: cpu'
        ) from None
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:  # CuPy's own error classes exist only once CuPy is imported
        raise DeviceError(
            f"device cuda: the NVIDIA driver does not answer ({error}): "
            "run nvidia-smi to see it, update it to the CUDA version CuPy was built for, or set device: cpu"
        ) from None
    if count == 0:
        raise DeviceError("device cuda: this machine has no CUDA device: set device: cpu")
    if index >= count:
        raise DeviceError(f"device cuda:{index}: this machine has {count} CUDA device(s): choose 0 to {count - 1}")
    cupy.cuda.Device(index).use()
    return Device("cuda", index)
