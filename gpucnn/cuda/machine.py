"""What there is to compute on: the versions of CuPy and CUDA, and the devices, as plain data."""

from __future__ import annotations

from typing import Any

from gpucnn.backend import Unusable, cuda_version, device_count, import_cupy


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
    cupy = import_cupy()
    return [_device(cupy, index) for index in range(device_count(cupy))]


def _device(cupy: Any, index: int) -> dict[str, Any]:
    device, name = cupy.cuda.Device(index), cupy.cuda.runtime.getDeviceProperties(index)["name"]
    with device:
        free, total = cupy.cuda.runtime.memGetInfo()
    attributes, capability = device.attributes, str(device.compute_capability)
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
