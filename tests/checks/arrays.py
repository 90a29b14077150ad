"""Input arrays in every layout that NumPy can hold them in, and how near a result must come to an oracle's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C order": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "transposed": lambda x: np.ascontiguousarray(x.swapaxes(0, -1)).swapaxes(0, -1),
    "NCHW beneath": lambda x: np.moveaxis(
        np.ascontiguousarray(np.moveaxis(x, -1, min(1, x.ndim - 1))), min(1, x.ndim - 1), -1
    ),
    "negative strides": lambda x: np.ascontiguousarray(np.flip(x))[(slice(None, None, -1),) * x.ndim],
    "every second element": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=-1)[::2, ..., ::2],
    "slice of a larger array": lambda x: np.pad(x, 1, constant_values=np.nan)[(slice(1, -1),) * x.ndim],
}
"""Ways to hold the same values: what a caller may hand in."""

layouts = st.sampled_from(sorted(LAYOUTS))
dtypes = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)

many = settings(max_examples=2 * settings().max_examples)
"""For tests whose examples take a millisecond each."""


def numbers(seed: int, *shapes: tuple[int, ...], dtype: Any) -> list[np.ndarray]:
    """Return an array of standard normal numbers of each shape."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def held(x: np.ndarray, layout: str) -> np.ndarray:
    """Return the same values in another layout, read-only: whoever writes to an input fails at once."""
    view = LAYOUTS[layout](x)
    np.testing.assert_array_equal(view, x)
    view.setflags(write=False)
    return view


def unchanged(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what `call` returns, and fail if it changed one of its arrays."""
    copies = [np.array(a) if isinstance(a, np.ndarray) else None for a in args]
    result = call(*args, **kwargs)
    for at, (given, copy) in enumerate(zip(args, copies, strict=True)):
        if copy is not None:
            np.testing.assert_array_equal(given, copy, err_msg=f"argument {at} was changed")
    return result


def assert_near(actual: np.ndarray, expected: np.ndarray, dtype: Any, size: Any, roundings: float) -> None:
    """Fail unless `actual` has this dtype, the oracle's shape, and its values up to rounding.

    size: the sum of the absolute values of the terms that an element is a sum of. roundings: how many roundings can
    add up in it. A sum of n products, in any order, is wrong by at most n u sum|terms| with u = eps / 2 (Higham,
    "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1); eps in place of u leaves room for the
    oracle's own error where it works in the same precision.
    """
    assert actual.dtype == np.dtype(dtype)
    assert actual.shape == np.shape(expected)
    info = np.finfo(dtype)
    allowed = roundings * (info.eps * np.asarray(size, np.float64) + info.tiny)
    error = np.abs(np.float64(actual) - expected)
    worst = np.max(error - allowed, initial=-np.inf)
    assert not np.isnan(error).any(), "not a number"
    assert worst <= 0, f"wrong by up to {error.max():.3g}, where {np.max(allowed):.3g} is allowed"
