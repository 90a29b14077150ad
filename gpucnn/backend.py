"""The array module: NumPy on the CPU, CuPy on an NVIDIA GPU. The only door to CuPy.

Operations ask `array_module(x)` for the module of the arrays they were handed; the trainer asks `Device` where
new arrays shall live. CuPy is imported when a CUDA device is first asked for, never before.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gpucnn.errors import ArgumentError, DeviceError

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array, or a CuPy array that is used through the same calls."""

Shape: TypeAlias = tuple[int, ...]

EXTRAS = {13: ("cuda13", 580), 12: ("cuda12", 525)}
"""CUDA's major version -> the extra that installs CuPy for it, and the first number of the oldest driver for it."""

_OLDEST_CUPY, _WITH_BFLOAT16 = 13, 14
_NO_DRIVER, _NO_DEVICE = 35, 100  # cudaErrorInsufficientDriver, cudaErrorNoDevice


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

    note: why the CPU was chosen, where `auto` asked for a CUDA device first; empty otherwise.

    >>> Device.named("cpu").asarray([1.0, 2.0], np.float32)
    array([1., 2.], dtype=float32)
    """

    kind: str
    index: int = 0
    note: str = field(default="", compare=False)

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
        except Unusable as found:
            if name == "auto":
                return Device("cpu", note=f"device auto: the CPU, since {found.problem} (more: gpucnn doctor)")
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

    def require(self, dtype: Any) -> None:
        """Raise Unusable where this device's array module has no such numbers: CuPy has bfloat16 from version 14 on."""
        if self.kind != "cpu" and np.dtype(dtype).name == "bfloat16":
            version = self.xp.__version__
            if int(version.partition(".")[0]) < _WITH_BFLOAT16:
                problem = f"CuPy {version} has no bfloat16, CuPy {_WITH_BFLOAT16} has"
                raise Unusable(problem, "install that, set precision to fp16", str(self))

    def memory(self) -> str:
        """Return in words how much memory is free; nothing for the CPU, whose memory is everyone's."""
        if self.kind == "cpu":
            return ""
        total = self.xp.cuda.Device(self.index).mem_info[1]
        return f" ({self.free_memory() / 2**30:.2f} of {total / 2**30:.2f} GiB free on {self})"

    def free_memory(self) -> int:
        """Return how many bytes are free on a CUDA device, those that its pool holds and nothing uses among them."""
        free = self.xp.cuda.Device(self.index).mem_info[0]
        return int(free + self.xp.get_default_memory_pool().free_bytes())

    def release(self) -> None:
        """Give memory that the pool holds and nothing uses back to the device."""
        if self.kind != "cpu":
            self.xp.get_default_memory_pool().free_all_blocks()

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"


class Unusable(DeviceError):  # noqa: N818 - what a device is
    """A CUDA device that cannot be used. problem: what is wrong, remedy: what to do, in a few words each."""

    def __init__(self, problem: str, remedy: str, device: str = "cuda") -> None:
        super().__init__(f"device {device}: {problem}: {remedy}, or set device: cpu")
        self.problem, self.remedy = problem, remedy


def import_cupy() -> Any:
    """Return the module cupy; raises Unusable, with what to install, where it is missing, broken or too old."""
    install = " or ".join(
        f'pip install "gpucnn[{extra}]" (driver {least} or newer)' for extra, least in EXTRAS.values()
    )
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            raise Unusable("CuPy is not installed", f"{install}; nvidia-smi shows the driver") from None
        raise Unusable(f"CuPy cannot be imported: {error}", f"install it again: {install}") from None
    except Exception as error:  # CuPy explains a missing library in many lines; the first that is not empty says which
        reason = next((line.strip() for line in str(error).splitlines() if line.strip(" \t=")), type(error).__name__)
        raise Unusable(f"CuPy cannot be imported: {reason}", f"install it again: {install}") from None
    if int(cupy.__version__.partition(".")[0]) < _OLDEST_CUPY:
        problem = f"CuPy {cupy.__version__} is too old, gpucnn needs {_OLDEST_CUPY} or newer"
        raise Unusable(problem, f"remove it, then {install}")
    return cupy


def cuda_version(number: int) -> str:
    """Return a version of CUDA, as its libraries count, as text.

    >>> cuda_version(12040)
    '12.4'
    """
    return f"{number // 1000}.{number % 1000 // 10}"


def device_count(cupy: Any) -> int:
    """Return how many CUDA devices there are; raises Unusable where the driver does not say, or says none."""
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:  # CuPy's own error classes exist only once CuPy is imported
        raise _without_devices(cupy, error) from None
    if count == 0:
        raise _no_device()
    return count


def _without_devices(cupy: Any, error: Exception) -> Unusable:
    """Return what it means that devices could not be counted."""
    status = getattr(error, "status", None)
    if status == _NO_DEVICE:
        return _no_device()
    if status != _NO_DRIVER:
        return Unusable(f"the NVIDIA driver does not answer ({error})", "see what nvidia-smi says of it")
    driver, built = (int(getattr(cupy.cuda.runtime, f"{who}GetVersion")()) for who in ("driver", "runtime"))
    if driver == 0:
        remedy = "install it; in a container, start that with the GPUs passed in (docker run --gpus all)"
        return Unusable("there is no NVIDIA driver on this machine", remedy)
    extra, least = EXTRAS.get(built // 1000, (f"cuda{built // 1000}", 0))
    older = EXTRAS.get(driver // 1000, (extra,))[0]
    other = f', or replace CuPy by pip install "gpucnn[{older}]"' if older != extra else ""
    return Unusable(
        f"the NVIDIA driver is too old: it runs CUDA {cuda_version(driver)}, and this CuPy needs CUDA {built // 1000}",
        f"update the driver to {least or 'a newer one'}{' or newer' if least else ''}{other}",
    )


def _no_device() -> Unusable:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = "" if visible is None else f" (CUDA_VISIBLE_DEVICES is {visible!r}, which hides all others)"
    return Unusable(f"this machine has no CUDA device{hidden}", "see what nvidia-smi lists")


def _cuda(index: int) -> Device:
    """Return CUDA device `index` once CuPy, its driver and the device are known to answer."""
    cupy = import_cupy()
    count = device_count(cupy)
    if index >= count:
        problem = f"this machine has {count} CUDA device{'s' * (count > 1)}"
        raise Unusable(problem, f"choose cuda:0{f' to cuda:{count - 1}' * (count > 1)}", f"cuda:{index}")
    try:
        cupy.cuda.Device(index).use()
    except Exception as error:
        problem = f"it cannot be used ({error})"
        raise Unusable(problem, "another process may hold it, see nvidia-smi", f"cuda:{index}") from None
    return Device("cuda", index)
