"""Small tables of integers that kernels read, such as addresses: the same content is copied to a device only once.

A training step launches with the same tables every time, as its arrays keep their memory, or the pool hands out the
same again. Nothing has to be kept up to date: another content is another table.
"""

from __future__ import annotations

import importlib
from functools import lru_cache

import numpy as np

from gpucnn.backend import Array, array_module


def table(numbers: Array, like: Array) -> Array:
    """Return `numbers`, a NumPy array, as an array of the device that `like` is on. It must not be changed."""
    module = array_module(like).__name__
    return _kept(numbers.tobytes(), numbers.dtype.str, numbers.shape, module, str(like.device))


@lru_cache(maxsize=64)
def _kept(content: bytes, dtype: str, shape: tuple[int, ...], module: str, device: str) -> Array:
    numbers: Array = importlib.import_module(module).asarray(np.frombuffer(content, dtype).reshape(shape))
    return numbers
