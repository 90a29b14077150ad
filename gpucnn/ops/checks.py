"""What operations refuse in common: what is no array, and numbers that they do not compute with."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.halves import HALVES, accumulator, is_half


def check_dtypes(**arrays: Array) -> None:
    """Raise unless all are arrays of one module, NumPy or CuPy, and of one dtype: float32, float64 or a half."""
    _check_floats(arrays)
    if len({array.dtype for array in arrays.values()}) > 1:
        listed = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise ArgumentError(f"dtypes differ ({listed}): all must be the same; convert one of them")


def check_full(**arrays: Array) -> None:
    """Raise where `check_dtypes` does, and for halves: for what loses too much between two operations."""
    for name, array in arrays.items():
        if is_half(array):
            raise ArgumentError(f"{name} has dtype {array.dtype}: it must be float32 or float64; convert it first")
    check_dtypes(**arrays)


def check_beside(x: Array, **arrays: Array) -> None:
    """Raise unless x is an array of floats, and the others, kept beside it, are of the dtype that it is computed in."""
    _check_floats({"x": x, **arrays})
    wanted = accumulator(x.dtype)
    for name, array in arrays.items():
        if array.dtype != wanted:
            raise ArgumentError(f"dtypes do not fit (x {x.dtype}, {name} {array.dtype}): {name} must be {wanted}")


def check_images(**arrays: Array) -> None:
    """Raise unless all are four-dimensional arrays of one dtype."""
    check_dtypes(**arrays)
    for name, array in arrays.items():
        if array.ndim != 4:
            raise ShapeError(f"{name} has shape {array.shape}: it must have four dimensions")


def _check_floats(arrays: dict[str, Array]) -> None:
    """Raise unless all are arrays of one module, of float32, float64 or a half each."""
    modules = {name: array_module(array).__name__ for name, array in arrays.items()}
    if len(set(modules.values())) > 1:
        listed = ", ".join(f"{name} {module}" for name, module in modules.items())
        raise ArgumentError(f"arrays of different modules ({listed}): move them all to one device first")
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64) and not is_half(array):
            taken = ", ".join((*HALVES, "float32 or float64"))
            raise ArgumentError(f"{name} has dtype {array.dtype}: it must be {taken}; convert it first")
