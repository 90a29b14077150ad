"""Half precisions: float16 and bfloat16 are formats to store numbers in. Nothing is computed in them.

A sum in float16 stops growing at 2048 times its terms. So an operation reads halves, computes in float32 and rounds its
results once: the kernels an element at a time as it is stored, functions over NumPy arrays here. Gradients of parameters,
which are sums over all images, stay float32.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from gpucnn.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")

HALVES = ("float16", "bfloat16")
"""Names of dtypes. NumPy has no bfloat16: it is that of ml_dtypes, as in CuPy from version 14 on."""


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


def full(dtype: Any) -> Any:
    """Return the dtype that numbers stored in `dtype` are computed in: float32 for halves, itself for all others.

    >>> full(np.float16).name, full(np.float64).name
    ('float32', 'float64')
    """
    dtype = np.dtype(dtype)
    return np.dtype(np.float32) if dtype.name in HALVES else dtype


def is_half(x: Any) -> bool:
    """Return whether x is an array of a half precision.

    >>> is_half(np.zeros(1, np.float16)), is_half(np.zeros(1, np.int16)), is_half(1.0)
    (True, False, False)
    """
    dtype = getattr(x, "dtype", None)
    return dtype is not None and dtype.itemsize == 2 and dtype.name in HALVES


def in_float32(function: Callable[P, R], *, rounded: bool = True) -> Callable[P, R]:
    """Make a function over arrays take halves: it is given them in float32.

    rounded: whether results in float32 become halves as those that were given; sums for parameters do not.
    Halves in lists are refused: a function that takes lists changes their arrays, in steps that a half would lose.

    >>> in_float32(np.mean)(np.full(3, 40_000, np.float16))
    np.float16(4e+04)
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given: tuple[Any, ...] = (*args, *kwargs.values())
        if any(isinstance(x, list) and any(map(is_half, x)) for x in given):
            raise ArgumentError(f"{function.__name__} changes its arrays: keep them in float32 or float64, not halves")
        half = next((x.dtype for x in given if is_half(x)), None)
        if half is None:
            return function(*args, **kwargs)

        def widened(x: Any) -> Any:
            return x.astype(np.float32) if is_half(x) else x

        def stored(x: Any) -> Any:
            return x.astype(half) if getattr(x, "dtype", None) == np.float32 else x

        result: Any = function(*map(widened, args), **{key: widened(x) for key, x in kwargs.items()})
        if not rounded:
            return cast(R, result)
        with np.errstate(over="ignore"):  # infinite where the half cannot hold it
            return cast(R, tuple(map(stored, result)) if isinstance(result, tuple) else stored(result))

    return call
