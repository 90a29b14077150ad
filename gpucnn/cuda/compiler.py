"""Compiling through CuPy: each source once for each dtype and device, when one of its kernels is first launched."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from gpucnn.cuda.sources import Kernel, source
from gpucnn.errors import DeviceError

OPTIONS = ("-std=c++17",)


def compile_with_cupy(kernel: Kernel, dtype: str) -> Any:
    """Return a kernel for arrays of `dtype` on the current device; raises DeviceError where it does not compile."""
    cupy = importlib.import_module("cupy")
    try:
        return _module(kernel.file, dtype, cupy.cuda.Device().id).get_function(kernel.name)
    except cupy.cuda.compiler.CompileException as error:
        raise DeviceError(f"{kernel.file.name} does not compile for this device: {error}") from None


@cache
def _module(file: Path, dtype: str, device: int) -> Any:
    cupy = importlib.import_module("cupy")
    return cupy.RawModule(code=source([file], dtype), options=OPTIONS)
