"""One checked way to a kernel: what CuPy passes on unlooked at is held against the kernel's declaration first.

CuPy ignores the strides of what a kernel is given, and passes a Python float as double and an int as 64 bits, whatever
the kernel takes. Here every argument is named, its dtype, layout, alignment, device and size are checked, numbers are
converted to the declared type, and inputs of another layout are copied; an error names kernel, argument and value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.compiler import compile_with_cupy
from gpucnn.cuda.sources import Kernel, Parameter, kernels
from gpucnn.dispatch import NotApplicable
from gpucnn.errors import ArgumentError

THREADS = 256
"""Threads of a block in every kernel with one thread an element, as in types.cuh."""

MOST_ELEMENTS = 2**31 - 1024
"""Kernels count elements in 32 bits; idle threads of the last block count on beyond the last element."""

GRID_LIMITS = (MOST_ELEMENTS // THREADS + 1, 65535, 65535)

Launcher: TypeAlias = Callable[..., None]
"""A compiled kernel, called as `cupy.RawKernel`: (grid, block, arguments, shared_mem=bytes)."""

Compiler: TypeAlias = Callable[[Kernel, str], Launcher]
"""What makes a kernel for arrays of a dtype into a launcher."""

compilers: dict[str, Compiler] = {"cupy": compile_with_cupy}
"""How kernels are compiled for the arrays of an array module, by its name."""


def blocks(threads: int, parts: int = 1) -> tuple[int, int]:
    """Return the grid that gives each part so many threads, rounded up to whole blocks.

    >>> blocks(257, 3)
    (2, 3)
    """
    return -(-threads // THREADS), parts


def launch(name: str, grid: tuple[int, ...], /, *, block: int = THREADS, shared: int = 0, **arguments: Any) -> None:
    """Run a kernel on `grid` blocks, with its arguments by name; nothing runs where a size is 0.

    block: threads of a block. shared: bytes of shared memory that a block has besides what its kernel declares.
    Arrays must be on one device, of the declared dtype, and, where the kernel writes, C-contiguous; None stands for an
    array that is declared `or null`, and for one of a list of such arrays; a list for arrays whose addresses the kernel
    takes. Raises ArgumentError, naming
    kernel, argument and value, and NotApplicable where an array is larger than kernels can count.
    """
    kernel = kernels()[name]
    _check_names(kernel, arguments)
    arrays = [(p, array) for p in kernel.parameters if p.array for array in _each(p, arguments[p.name])]
    module = _check_devices(kernel, [(p.name, array) for p, array in arrays])
    typed = (np.dtype(array.dtype) for of in ("T", "Acc") for p, array in arrays if p.type == of)
    element = next(typed, np.dtype(np.float32))  # a kernel of neither type is the same for all
    if element.name not in kernel.dtypes:
        raise ArgumentError(f"kernel {name}: dtype {element} must be one of {', '.join(kernel.dtypes)}")
    values = tuple(_checked(kernel, p, arguments[p.name], element) for p in kernel.parameters)
    if any(size > limit for size, limit in zip(grid, GRID_LIMITS, strict=False)):
        raise ArgumentError(f"kernel {name}: grid {grid} is larger than {GRID_LIMITS}: make the batch smaller")
    if all(grid):
        compilers[module](kernel, element.name)(grid, (block,), values, shared_mem=shared)


def _check_names(kernel: Kernel, arguments: dict[str, Any]) -> None:
    declared = [p.name for p in kernel.parameters]
    if sorted(declared) != sorted(arguments):
        raise ArgumentError(f"kernel {kernel.name}: takes ({', '.join(declared)}), got ({', '.join(arguments)})")


def _each(parameter: Parameter, value: Any) -> list[Any]:
    """Return the arrays of an array argument: those of a list, one, or none where it is missing."""
    listed = value if parameter.many and isinstance(value, list) else [value]
    return [array for array in listed if array is not None]


def _check_devices(kernel: Kernel, arrays: list[tuple[str, Any]]) -> str:
    """Return the array module's name, once all arrays are known to be on the device that kernels are launched on."""
    name, first = arrays[0]
    module, device = array_module(first), first.device
    if any(array_module(array) is not module or array.device != device for _, array in arrays):
        listed = ", ".join(f"{key} {array_module(array).__name__} on {array.device}" for key, array in arrays)
        raise ArgumentError(f"kernel {kernel.name}: arrays must be on one device, got {listed}")
    if module.__name__ not in compilers:
        raise ArgumentError(f"kernel {kernel.name}: {name} is a {module.__name__} array: kernels take CuPy arrays")
    if module is not np and device != module.cuda.Device():
        raise ArgumentError(
            f"kernel {kernel.name}: {name} is on {device}, the current device is {module.cuda.Device()}: "
            "enter the array's device first"
        )
    return str(module.__name__)


def _checked(kernel: Kernel, parameter: Parameter, value: Any, element: np.dtype) -> Any:
    """Return an argument as it is passed on."""
    dtype, where = parameter.dtype(element), f"kernel {kernel.name}, argument {parameter.name}"
    if parameter.array:
        if value is None and parameter.optional:
            return np.uint64(0)
        if not parameter.many:
            return _checked_array(where, parameter, value, dtype)
        if not isinstance(value, list):
            raise ArgumentError(f"{where}: must be a list of arrays, got {type(value).__name__}")
        return [
            None if array is None and parameter.optional else _checked_array(f"{where}[{i}]", parameter, array, dtype)
            for i, array in enumerate(value)
        ]
    if dtype.fields is not None:
        if not isinstance(value, np.ndarray) or value.shape != () or value.dtype != dtype:
            raise ArgumentError(f"{where}: must be one {parameter.type} structure, got {value!r}")
        return value
    if dtype.kind in "iu" and (int(value) != value or not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max):
        raise ArgumentError(f"{where}: {value!r} is no {dtype}")
    return dtype.type(value)


def _checked_array(where: str, parameter: Parameter, array: Any, dtype: np.dtype) -> Any:
    """Return an array as it is passed on: an input of another layout is copied."""
    if array is None or array.dtype != dtype:
        raise ArgumentError(f"{where}: must be an array of {dtype}, got {'None' if array is None else array.dtype}")
    if not parameter.const and not array.flags.c_contiguous:
        raise ArgumentError(f"{where}: is written to, but has strides {array.strides} for shape {array.shape}: copy it")
    if address(array) % dtype.itemsize:
        raise ArgumentError(f"{where}: its address is no multiple of {dtype.itemsize} bytes: copy it first")
    if array.size > MOST_ELEMENTS:
        raise NotApplicable(f"{where}: has {array.size:,} elements, kernels count to {MOST_ELEMENTS:,}")
    if not parameter.const and isinstance(array, np.ndarray) and not array.flags.writeable:
        raise ArgumentError(f"{where}: is written to, but the array is read-only")
    return array_module(array).ascontiguousarray(array) if parameter.const else array


def address(array: Array) -> int:
    """Return the address of an array's first element, on its device."""
    return int(array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr)
