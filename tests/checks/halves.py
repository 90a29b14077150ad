"""Half precisions in tests: how they round, and how near a result that is stored in one must come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from checks.arrays import assert_near, numbers
from gpucnn.halves import named


@dataclass(frozen=True)
class Half:
    """A half precision. unit: half the distance of 1 and the next number. smallest: the first number above 0."""

    name: str
    unit: float
    smallest: float

    @property
    def dtype(self) -> Any:
        """What its arrays are in NumPy."""
        return named(self.name)

    def numbers(self, seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
        """Return an array of standard normal numbers of each shape, all of which this precision can hold."""
        return [self.rounded(x) for x in numbers(seed, *shapes, dtype=np.float32)]

    def rounded(self, x: np.ndarray) -> np.ndarray:
        """Return numbers as they are stored."""
        if self.name == "float16":
            return x.astype(np.float16)
        return to_bfloat16(x.astype(np.float32)).view(self.dtype)

    def every(self) -> np.ndarray:
        """Return everything that 16 bits can be, infinities and NaNs as well."""
        return np.arange(2**16, dtype=np.uint16).view(self.dtype)

    def assert_near(
        self, actual: np.ndarray, expected: np.ndarray, size: Any, roundings: float, *, stored: bool = True
    ) -> None:
        """Fail unless `actual` is what one rounding of a sum in float32 makes of the oracle's `expected`.

        size, roundings: as in `checks.arrays.assert_near`, of the sum. What is stored differs from it by `unit` times
        its size, or by half of `smallest`; gradients of parameters are not stored as halves but stay float32.
        """
        if not stored:
            assert_near(actual, expected, np.float32, size, roundings)
            return
        assert actual.dtype == self.dtype
        assert actual.shape == np.shape(expected)
        summed = roundings * np.finfo(np.float32).eps * np.asarray(size, np.float64)
        allowed = summed + self.unit * (np.abs(expected) + summed) + self.smallest / 2
        error = np.abs(np.float64(actual) - expected)
        assert not np.isnan(error).any(), "not a number"
        worst = np.max(error - allowed, initial=-np.inf)
        assert worst <= 0, f"wrong by {worst:.3g} more than the {np.max(allowed):.3g} at most that are allowed"


HALVES = {
    "float16": Half("float16", 2.0**-11, 2.0**-24),
    "bfloat16": Half("bfloat16", 2.0**-8, 2.0**-133),
}


def to_bfloat16(x: np.ndarray) -> np.ndarray:
    """Return float32 rounded to bfloat16, ties to even, as 16 bits each."""
    bits = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64)
    kept, rest = bits >> np.uint64(16), bits & np.uint64(0xFFFF)
    up = (rest > 0x8000) | ((rest == 0x8000) & (kept % 2 == 1))
    return np.where(np.isnan(x), 0x7FFF, kept + up).astype(np.uint16)
