"""Whether convolutions may be computed by Winograd's algorithm, which is faster and rounds more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

from gpucnn.errors import ArgumentError

Numerics = Literal["fast", "exact"]
"""fast: Winograd's algorithm where it is faster. exact: only sums of products, as the formulas say."""

_numerics: ContextVar[Numerics] = ContextVar("numerics", default="fast")


@contextmanager
def using(numerics: Numerics) -> Iterator[None]:
    """Compute in this way while entered.

    >>> with using("exact"):
    ...     exact()
    True
    """
    if numerics not in get_args(Numerics):
        raise ArgumentError(f"numerics (={numerics!r}) must be one of {', '.join(get_args(Numerics))}")
    before = _numerics.set(numerics)
    try:
        yield
    finally:
        _numerics.reset(before)


def exact() -> bool:
    """Return whether Winograd's algorithm is off."""
    return _numerics.get() == "exact"
