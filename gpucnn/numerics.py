"""How convolutions and dense layers may be computed: which ways of rounding more, and being faster, are allowed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, get_args

from gpucnn.errors import ArgumentError
from gpucnn.setting import Setting

Numerics = Literal["fast", "exact", "tf32"]
"""exact: only sums of products in the arrays' own precision, as the formulas say. fast: Winograd's algorithm on the
CPU, and on a GPU float32 from three products of tensor cores. tf32: tensor cores may round float32 to TF32, 10 bits
of mantissa; the CPU, which has no such thing, takes it as fast."""

_numerics: Setting[Numerics] = Setting("numerics", "fast")


def using(numerics: Numerics) -> AbstractContextManager[None]:
    """Compute in this way while entered.

    >>> with using("exact"):
    ...     exact()
    True
    """
    if numerics not in get_args(Numerics):
        raise ArgumentError(f"numerics (={numerics!r}) must be one of {', '.join(get_args(Numerics))}")
    return _numerics.using(numerics)


def current() -> Numerics:
    """Return the way in which is computed now."""
    return _numerics.get()


def exact() -> bool:
    """Return whether only sums of products will do."""
    return current() == "exact"
