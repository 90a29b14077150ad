"""Compiling through CuPy: each source once for each dtype and device, when one of its kernels is first launched.

Of a file for some architectures alone, each kernel by itself: they are large, and a network uses few of them.
"""

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

UNASKED_SHARED = 48 * 1024
"""Bytes of shared memory that CUDA gives a block of any kernel."""


def compile_with_cupy(kernel: Kernel, dtype: str) -> Any:
    """Return a kernel for arrays of `dtype` on the current device; raises DeviceError where it does not compile."""
    cupy = importlib.import_module("cupy")
    try:
        return _function(kernel, dtype, cupy.cuda.Device().id)
    except cupy.cuda.compiler.CompileException as error:
        raise DeviceError(f"{kernel.file.name} does not compile for this device: {error}") from None


@cache
def _function(kernel: Kernel, dtype: str, device: int) -> Any:
    module = _module(kernel.file, dtype, device, (kernel.name,) if kernel.architecture else None)
    compiled = _with_shared_memory(module.get_function(kernel.name))
    return _with_addresses(compiled) if any(p.many for p in kernel.parameters) else compiled


def _with_shared_memory(compiled: Any) -> Any:
    """Return a kernel that may be launched with more shared memory than a block has unless it is asked for."""
    allowed = UNASKED_SHARED

    def launching(grid: Any, block: Any, arguments: tuple[Any, ...], *, shared_mem: int = 0) -> None:
        nonlocal allowed
        if shared_mem > allowed:
            compiled.max_dynamic_shared_size_bytes = allowed = shared_mem
        compiled(grid, block, arguments, shared_mem=shared_mem)

    return launching


def _with_addresses(compiled: Any) -> Any:
    """Return a kernel that takes lists of arrays; the compiled one takes arrays of their addresses."""

    def launching(grid: Any, block: Any, arguments: tuple[Any, ...], **options: Any) -> None:
        given = (_addresses(a) if isinstance(a, list) else a for a in arguments)
        compiled(grid, block, tuple(given), **options)

    return launching


def _addresses(arrays: list[Any]) -> Any:
    """Return the addresses of arrays as an array on their device, 0 for one that is missing.

    They are copied there once: arrays keep their memory, or the pool hands out the same again in the next step.
    """
    pointers = [0 if array is None else array.data.ptr for array in arrays]
    return constant(np.array(pointers, np.uint64), like=next(array for array in arrays if array is not None))


@cache
def _module(file: Path, dtype: str, device: int, only: tuple[str, ...] | None) -> Any:
    cupy = importlib.import_module("cupy")
    return cupy.RawModule(code=source([file], dtype, only), options=OPTIONS)
