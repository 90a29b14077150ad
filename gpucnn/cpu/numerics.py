"""Whether convolutions may be computed by Winograd's algorithm, which is faster and rounds more."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, get_args

from gpucnn.errors import ArgumentError
from gpucnn.setting import Setting

Numerics = Literal["fast", "exact"]
"""fast: Winograd's algorithm where it is faster. exact: only sums of products, as the formulas say."""

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


def exact() -> bool:
    """Return whether Winograd's algorithm is off."""
    return _numerics.get() == "exact"
