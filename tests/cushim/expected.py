"""What operations should give: the reference, in float64, whatever else computes them meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpucnn import dispatch
from gpucnn.halves import is_half


def reference(operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what the reference computes, in float64."""
    with dispatch.using("reference"):
        return operation(*(np.float64(a) if is_float(a) else a for a in args), **kwargs)


def sizes(operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the sum of the absolute values of the terms that each element is a sum of, for a linear operation."""
    return reference(operation, *(abs(a) if is_float(a) else a for a in args), **kwargs)


def is_float(argument: Any) -> bool:
    """Return whether an argument is an array of floats."""
    return isinstance(argument, np.ndarray) and (argument.dtype.kind == "f" or is_half(argument))
