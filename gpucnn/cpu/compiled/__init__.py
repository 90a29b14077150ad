"""Loops that numba compiles, where it is installed (`pip install "gpucnn[cpu]"`): one pass where NumPy needs several.

Each computes what a function of `gpucnn.cpu` computes with NumPy, and is called by it, in its threads and on its
blocks of work, where `available()` says so. None holds the interpreter's lock. What is compiled is kept on disk, so
that it is compiled once for a machine, not at every start.

    jit         how all of them are compiled
    vectors     the vector instructions that convolutions are written with; a product whose sums stay in registers
    transforms  Winograd's, as straight-line code
    work        how convolutions are cut into blocks, by shapes alone
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
from contextlib import AbstractContextManager
from typing import Any

from gpucnn.setting import Setting

_wanted = Setting("compiled", True)


def using(wanted: bool) -> AbstractContextManager[None]:
    """Use compiled loops, where numba is installed, or do not, while entered.

    >>> with using(False):
    ...     available()
    False
    """
    return _wanted.using(wanted)


def available() -> bool:
    """Return whether compiled loops are to be used: numba can be, and nobody turned them off."""
    return _wanted.get() and not problem()


def module(name: str) -> Any:
    """Return the module of this package that computes what the one of its name in `gpucnn.cpu` does, None without it.

    >>> with using(False):
    ...     module("batch_norm")
    """
    return importlib.import_module(f"{__name__}.{name}") if available() else None


@functools.cache
def problem() -> str:
    """Return why numba cannot be used, nothing where it can: it is imported to see."""
    if importlib.util.find_spec("numba") is None:
        return "numba is not installed"
    try:
        importlib.import_module("numba")
    except Exception as error:  # what it needs may be missing or, NumPy above all, too new for it
        return f"numba cannot be imported: {' '.join(str(error).split())}"
    return ""


def version() -> str | None:
    """Return numba's version; None where it is not installed. Nothing is imported."""
    try:
        return importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        return None
