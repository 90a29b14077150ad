"""What there is to compute on: the versions of CuPy and CUDA, the devices, and what estimates take them for."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np

from gpucnn.backend import Array, Unusable, array_module, cuda_version, device_count, import_cupy


def versions() -> dict[str, str]:
    """Return the versions of CuPy, of the CUDA that it was built for, and of the CUDA that the driver runs (0.0: none).

    Raises Unusable without CuPy.
    """
    cupy = import_cupy()
    runtime = cupy.cuda.runtime
    return {
        "cupy": str(cupy.__version__),
        "cuda": cuda_version(int(runtime.runtimeGetVersion())),
        "driver": cuda_version(int(runtime.driverGetVersion())),
    }


def nvrtc_version() -> str:
    """Return the version of NVRTC, which compiles the kernels; raises Unusable where CuPy cannot load it."""
    cupy = import_cupy()
    try:
        major, minor = cupy.cuda.nvrtc.getVersion()
    except Exception as error:
        reason = " ".join(str(error).split()).partition(": ")[0] or type(error).__name__
        built = int(cupy.cuda.runtime.runtimeGetVersion()) // 1000
        remedy = f'pip install "cupy-cuda{built}x[ctk]", or install the CUDA toolkit'
        raise Unusable(f"NVRTC, which compiles the kernels, cannot be loaded ({reason})", remedy) from None
    return f"{major}.{minor}"


def devices() -> list[dict[str, Any]]:
    """Return what is known of each CUDA device; raises Unusable where there is none.

    memory_free, memory_total: bytes. compute_capability: as 9.0. clock_khz, l2_bytes: 0 where CUDA does not tell.
    """
    return [device(index) for index in range(device_count(import_cupy()))]


def device(index: int) -> dict[str, Any]:
    """Return what is known of one CUDA device, as `devices` does, and leave the others alone."""
    cupy = import_cupy()
    found, name = cupy.cuda.Device(index), cupy.cuda.runtime.getDeviceProperties(index)["name"]
    with found:
        free, total = cupy.cuda.runtime.memGetInfo()
    attributes, capability = found.attributes, str(found.compute_capability)
    return {
        "index": index,
        "name": name.decode(errors="replace") if isinstance(name, bytes) else str(name),
        "compute_capability": f"{capability[:-1]}.{capability[-1]}",
        "memory_free": int(free),
        "memory_total": int(total),
        "multiprocessors": int(attributes.get("MultiProcessorCount", 0)),
        "clock_khz": int(attributes.get("ClockRate", 0)),
        "l2_bytes": int(attributes.get("L2CacheSize", 0)),
    }


class Machine(NamedTuple):
    """What estimates of a kernel's time are made from.

    fma, tensor, double: floating-point operations a second: in float32 without tensor cores, of halves on tensor cores
    (TF32: half as many), in float64. bandwidth: bytes a second. launch: seconds that a launch takes.
    """

    multiprocessors: int
    fma: float
    tensor: float
    double: float
    bandwidth: float
    launch: float = 2e-6

    def seconds(self, flops: float, rate: float, size: float) -> float:
        """Return the time of a launch that computes so many operations at a rate, and reads and writes `size` bytes.

        A tenth of what the longer of both hides is added: of two kernels that wait for the memory, the one that
        computes less has more room.
        """
        computing, moving = flops / rate, size / self.bandwidth
        return self.launch + max(computing, moving) + 0.1 * min(computing, moving)


def nominal(architecture: int) -> Machine:
    """Return one machine for all devices of an architecture, so that what is chosen by it is the same on each of them.

    Of an architecture that is not known, that of the next older one.
    """
    return _NOMINAL[max((known for known in _NOMINAL if known <= architecture), default=min(_NOMINAL))]


_NOMINAL = {
    75: Machine(40, 8.1e12, 65e12, 0.25e12, 0.32e12),  # T4
    80: Machine(108, 19.5e12, 312e12, 9.7e12, 2.0e12),  # A100
    86: Machine(82, 35.6e12, 71e12, 0.56e12, 0.94e12),  # RTX 3090
    89: Machine(128, 82.6e12, 165e12, 1.3e12, 1.0e12),  # RTX 4090
    90: Machine(132, 66.9e12, 989e12, 33.5e12, 3.35e12),  # H100
    100: Machine(148, 75e12, 2250e12, 37e12, 8.0e12),  # B200
    120: Machine(170, 104.8e12, 209e12, 1.6e12, 1.79e12),  # RTX 5090
}
"""By data sheets, rounded: with dense matrices, and sums in float32."""

WITHOUT_GPU = 90
"""The architecture that kernels count as compiled for where the CPU runs them."""


def architecture(x: Array) -> int:
    """Return the architecture of the device that an array is on, as 90; 0 where CUDA does not tell."""
    module, device = array_module(x), cast(Any, x.device)
    return WITHOUT_GPU if module is np else _architecture(module, device.id)


def multiprocessors(x: Array) -> int:
    """Return how many multiprocessors the device has that an array is on: for grids whose size changes no bits."""
    module, device = array_module(x), cast(Any, x.device)
    return nominal(WITHOUT_GPU).multiprocessors if module is np else _multiprocessors(module, device.id)


@cache
def _multiprocessors(cupy: Any, device: int) -> int:
    return int(cupy.cuda.Device(device).attributes["MultiProcessorCount"])


@cache
def _architecture(cupy: Any, device: int) -> int:
    return int(getattr(cupy.cuda.Device(device), "compute_capability", 0))
