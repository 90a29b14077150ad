"""Arrays of numbers that never change, on the device where they are read: copied there once for each content.

While a CUDA graph is being captured nothing can be copied in the stream that is captured. What is asked for then is
copied in a stream of its own, and belongs to the `Kept` of that graph, which reads it at every replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.setting import Setting

_Content: TypeAlias = tuple[Any, int, str, tuple[int, ...], bytes]
"""Array module, number of the device, dtype, shape, bytes."""

_kept: Setting[Kept | None] = Setting("kept", None)


def constant(values: Array, like: Array) -> Array:
    """Return a NumPy array's numbers on the device of `like`; the result must not be changed.

    >>> constant(np.arange(3), like=np.zeros(1))
    array([0, 1, 2])
    """
    xp, kept = array_module(like), _kept.get()
    if xp is np:
        return values
    device: Any = like.device
    content = (xp, int(device.id), values.dtype.str, values.shape, values.tobytes())
    return _remembered(content) if kept is None else kept.of(content)


class Kept:
    """The constants of CUDA graphs, which live as long as this does. cuda: `cupy.cuda`."""

    def __init__(self, cuda: Any) -> None:
        self._stream = cuda.Stream(non_blocking=True)
        self._arrays: dict[_Content, Array] = {}

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """While entered, constants that are asked for are these."""
        with _kept.using(self):
            yield

    def of(self, content: _Content) -> Array:
        """Return a constant, copied where it is not here yet."""
        if content not in self._arrays:
            with self._stream:
                self._arrays[content] = _copied(content)
                self._stream.synchronize()
        return self._arrays[content]


@lru_cache(maxsize=128)
def _remembered(content: _Content) -> Array:
    """Return a constant, copied in the current stream, where all that reads it runs before its memory is used again."""
    return _copied(content)


def _copied(content: _Content) -> Array:
    """Return a constant in memory of the default pool: it may outlive the pool that arrays are just made in."""
    xp, _, dtype, shape, data = content
    with xp.cuda.using_allocator(xp.get_default_memory_pool().malloc):
        array: Array = xp.asarray(np.frombuffer(data, dtype).reshape(shape))
    return array
