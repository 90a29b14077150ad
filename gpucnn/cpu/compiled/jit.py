"""How loops are compiled: without the interpreter's lock, kept on disk, with NumPy's rules for what is not finite."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

import numba
from numba.core.runtime import rtsys

F = TypeVar("F", bound=Callable[..., object])

FREEDOMS = frozenset({"contract", "reassoc", "arcp", "nsz"})
"""What the compiler may do to sums so that they become vector instructions: a times b plus c in one rounding, another
order, which is the same at every call. Infinities and NaN stay what they are."""


@overload
def compiled(function: F) -> F: ...
@overload
def compiled(*, freedoms: frozenset[str]) -> Callable[[F], F]: ...
def compiled(function: Any = None, *, freedoms: frozenset[str] = FREEDOMS) -> Any:
    """Compile a function over arrays and numbers at its first call; where nothing can be kept on disk, at every start.

    freedoms: without any, `@compiled(freedoms=frozenset())`, every operation rounds as NumPy's does.

    numba asks whether the file of a function has changed. What it calls from others is compiled into it, so that all
    files are asked.
    """
    if function is None:
        return functools.partial(compiled, freedoms=freedoms)
    made = numba.njit(nogil=True, error_model="numpy", fastmath=set(freedoms))(function)
    with contextlib.suppress(RuntimeError):  # no folder that can be written to
        made.enable_caching()
        kept = made._cache
        kept._cache_file._source_stamp = sources()
        kept.load_overload = functools.partial(_loaded, kept, kept.load_overload)
    return made


def _loaded(kept: Any, by_numba: Callable[..., Any], signature: Any, context: Any) -> Any:
    """Return what is kept on disk of a function for these types, without importing what numba knows of Python.

    That is wanted to compile only, and takes as long as all else before a first step.
    """
    with contextlib.suppress(Exception):  # a numba that is built in another way loads in its own
        rtsys.initialize(context)
        return kept._load_overload(signature, context)
    return by_numba(signature, context)


@functools.cache
def sources() -> str:
    """Return a number that changes with the text of what is compiled."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), here.parent / "winograd_matrices.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
