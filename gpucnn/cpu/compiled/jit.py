"""How loops are compiled: without the interpreter's lock, kept on disk, with NumPy's rules for what is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])

FREEDOMS = {"contract", "reassoc", "arcp", "nsz"}
"""What the compiler may do to sums so that they become vector instructions: a times b plus c in one rounding, another
order, which is the same at every call. Infinities and NaN stay what they are."""


def compiled(function: F) -> F:
    """Compile a function over arrays and numbers at its first call."""
    made: F = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=FREEDOMS)(function)
    return made
