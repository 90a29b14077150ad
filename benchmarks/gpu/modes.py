"""In which precision a pass is computed, by both sides, and how far its result may then be from float64's.

With u the relative error of one rounding, n products a sum, and errors relative to the largest number of a result:

    float32    the sum: 16 eps sqrt(n), eps = 2^-23 (`gpucnn.training.rounding`). 3xTF32 must keep this bound, too.
    tf32       and operands rounded to 10 bits after the point: each product is off by up to 2^-10, the sum, whose
               terms are of both signs, by their sum's spread times that; 4 x 2^-10 covers the extremes of an array
    bf16       operands are exact as they are stored, their products exact in float32; the result is rounded: u = 2^-8
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucnn import numerics
from gpucnn.dispatch import Impl, using
from gpucnn.training.rounding import limit

CUDNN = "cuDNN"
IMPL: Impl = "fast"
"""What is timed is a kernel of ours or an error, never the reference."""


@dataclass(frozen=True)
class Mode:
    """dtype: of the arrays. ours: names and settings of `numerics` of our ways. tf32: whether cuDNN may use it.

    ceiling: the product whose speed is the roof. extra: what is added to the bound of float32's sums.
    """

    name: str
    dtype: str
    ours: dict[str, numerics.Numerics]
    tf32: bool
    ceiling: str
    extra: float = 0.0

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return 4 if self.dtype == "float32" else 2

    def bound(self, terms: int) -> float:
        """Return the largest error of sums of so many products, relative to the largest result."""
        return limit(np.float32, terms) + self.extra


MODES = {
    "float32": Mode("float32", "float32", {"exact": "exact", "fast": "fast"}, False, "float32"),
    "bf16": Mode("bf16", "bfloat16", {"bf16": "fast"}, False, "bfloat16", 2.0**-8),
    "tf32": Mode("tf32", "float32", {"tf32": "tf32"}, True, "tf32", 4 * 2.0**-10),
}
"""In the order in which they are timed."""


def computed(call: Callable[[Any], Any], setting: numerics.Numerics) -> Callable[[Any], Any]:
    """Return a function that computes as `numerics: SETTING` says, by our own kernels."""

    def run(arrays: Any) -> Any:
        with using(IMPL), numerics.using(setting):
            return call(arrays)

    return run
