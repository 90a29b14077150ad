"""Splitting images off the training images: to validate with, or to test with where a data set is one piece."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Interval

from gpucnn.backend import Array
from gpucnn.errors import ArgumentError, DataError
from gpucnn.random import Stream

Part = Annotated[float, Interval(gt=0, lt=1)]
"""A fraction that leaves something on both sides."""


def split(count: int, validation: int | float, seed: int) -> tuple[Array, Array]:
    """Return the indices (int64, ascending) to train on and to validate with: chosen by `seed`, each index in one.

    count: how many images there are. validation: how many of them to validate with: a whole number, or a fraction
    from 0 up to, not including, 1, which is rounded, but to no less than one image unless it is 0.
    Raises ArgumentError where nothing would be left to train on.

    >>> [part.tolist() for part in split(5, 0.4, seed=0)]
    [[0, 3, 4], [1, 2]]
    """
    whole = isinstance(validation, int)
    if not (0 <= validation < (count if whole else 1)):
        rule = f"from 0 to {count - 1}, as there are {count} images" if whole else "from 0 up to, not including, 1"
        raise ArgumentError(f"validation (={validation!r}) must be {rule}")
    held = validation if isinstance(validation, int) else max(round(validation * count), int(validation > 0))
    if held >= count:
        raise ArgumentError(f"validation (={validation!r}) of {count} images leaves none to train on")
    order = Stream(seed, "split").permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])


def chosen(count: int, test: float, name: str) -> Array:
    """Return which of `count` images are split `name`, `train` or `test`, of a data set that is not split by itself.

    test: the fraction to test with. The same images on every run. Raises DataError where none are left to train on.
    """
    try:
        return split(count, test, seed=0)[name == "test"]
    except ArgumentError:
        raise DataError(
            f"there are {count} images in all, of which test (={test}) leaves none to train on: more are needed"
        ) from None
