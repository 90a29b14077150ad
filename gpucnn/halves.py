"""Half precisions: float16 and bfloat16 are formats to store numbers in. Nothing is computed in them.

A sum in float16 stops growing at 2048 times its terms. So an operation reads halves, computes in float32 and rounds its
results once: the kernels an element at a time as it is stored, functions over NumPy arrays here. Gradients of
parameters, which are sums over all images, stay float32.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

import numpy as np

from gpucnn.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")

HALVES = ("float16", "bfloat16")
"""Names of dtypes. NumPy has no bfloat16: it is that of ml_dtypes, as in CuPy from version 14 on."""

EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""The distance from 1 to the next number."""

Copies: TypeAlias = list[Any] | None
"""For each array of a list its copy in a half precision, or None where it has none; None where no array has one."""


def named(name: str) -> Any:
    """Return the dtype of this name; raises ArgumentError for bfloat16 where ml_dtypes is missing.

    >>> named("float16").itemsize, named("float64").itemsize
    (2, 8)
    """
    if name != "bfloat16":
        return np.dtype(name)
    try:
        return np.dtype(importlib.import_module("ml_dtypes").bfloat16)
    except ImportError as error:
        raise ArgumentError(f"bfloat16 needs ml_dtypes ({error}): pip install ml_dtypes") from None


def is_half(x: Any) -> bool:
    """Return whether x is an array of a half precision.

    >>> is_half(np.zeros(1, np.float16)), is_half(np.zeros(1, np.int16)), is_half(1.0)
    (True, False, False)
    """
    dtype = getattr(x, "dtype", None)
    return dtype is not None and dtype.itemsize == 2 and dtype.name in HALVES


def accumulator(dtype: Any) -> np.dtype:
    """Return what sums of elements of this dtype are carried in, and what is kept beside halves: Acc in the kernels.

    >>> accumulator(np.float16), accumulator(np.float64)
    (dtype('float32'), dtype('float64'))
    """
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def in_float32(function: Callable[P, R], rounded: int | None = None) -> Callable[P, R]:
    """Make a function over arrays take halves: it is given them in float32, its results are rounded to the first's.

    rounded: how many of its results are, from the first on; all where it is None. The others stay float32.

    >>> in_float32(np.mean)(np.full(3, 40_000, np.float16)).item()
    40000.0
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given: tuple[Any, ...] = (*args, *kwargs.values())
        half = next((x.dtype for x in given if is_half(x)), None)
        if half is None:
            return function(*args, **kwargs)

        result: Any = function(*map(_widened, args), **{key: _widened(x) for key, x in kwargs.items()})
        results = result if isinstance(result, tuple) else (result,)
        count = len(results) if rounded is None else rounded
        with np.errstate(over="ignore"):  # infinite where the half cannot hold it
            stored = (*(_rounded(x, half) for x in results[:count]), *results[count:])
        return cast(R, stored if isinstance(result, tuple) else stored[0])

    return call


def _widened(x: Any) -> Any:
    if isinstance(x, tuple) and any(map(is_half, x)):
        return tuple(map(_widened, x))
    return x.astype(np.float32) if is_half(x) else x


def _rounded(x: Any, half: Any) -> Any:
    return x.astype(half) if getattr(x, "dtype", None) == np.float32 else x
