"""Compiling through CuPy: each source once for each dtype and device, when one of its kernels is first launched."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gpucnn.constants import constant
from gpucnn.cuda.sources import Kernel, source
from gpucnn.errors import DeviceError

OPTIONS = ("-std=c++17",)


def compile_with_cupy(kernel: Kernel, dtype: str) -> Any:
    """Return a kernel for arrays of `dtype` on the current device; raises DeviceError where it does not compile."""
    cupy = importlib.import_module("cupy")
    try:
        compiled = _module(kernel.file, dtype, cupy.cuda.Device().id).get_function(kernel.name)
    except cupy.cuda.compiler.CompileException as error:
        raise DeviceError(f"{kernel.file.name} does not compile for this device: {error}") from None
    return _with_addresses(compiled) if any(p.many for p in kernel.parameters) else compiled


def _with_addresses(compiled: Any) -> Any:
    """Return a kernel that takes lists of arrays; the compiled one takes arrays of their addresses."""

    def launching(grid: Any, block: Any, arguments: tuple[Any, ...], **options: Any) -> None:
        given = (_addresses(a) if isinstance(a, list) else a for a in arguments)
        compiled(grid, block, tuple(given), **options)

    return launching


def _addresses(arrays: list[Any]) -> Any:
    """Return the addresses of arrays as an array on their device.

    They are copied there once: arrays keep their memory, or the pool hands out the same again in the next step.
    """
    return constant(np.array([array.data.ptr for array in arrays], np.uint64), like=arrays[0])


@cache
def _module(file: Path, dtype: str, device: int) -> Any:
    cupy = importlib.import_module("cupy")
    return cupy.RawModule(code=source([file], dtype), options=OPTIONS)
