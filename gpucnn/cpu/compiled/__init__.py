"""Loops that numba compiles, where it is installed (`pip install "gpucnn[cpu]"`): one pass where NumPy needs several.

Each computes what a function of `gpucnn.cpu` computes with NumPy, and is called by it, in its threads and on its
blocks of work, where `available()` says so. None holds the interpreter's lock. What is compiled is kept on disk, so
that it is compiled once for a machine, not at every start.

    jit         how all of them are compiled
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_wanted: ContextVar[bool] = ContextVar("compiled", default=True)


@contextmanager
def using(wanted: bool) -> Iterator[None]:
    """Use compiled loops, where numba is installed, or do not, while entered.

    >>> with using(False):
    ...     available()
    False
    """
    before = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(before)


def available() -> bool:
    """Return whether compiled loops are to be used: numba is installed, and nobody turned them off."""
    return _wanted.get() and _installed()


def module(name: str) -> Any:
    """Return the module of this package that computes what the one of its name in `gpucnn.cpu` does, None without it.

    >>> with using(False):
    ...     module("batch_norm")
    """
    return importlib.import_module(f"{__name__}.{name}") if available() else None


@functools.cache
def _installed() -> bool:
    return importlib.util.find_spec("numba") is not None
