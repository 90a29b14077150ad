"""How many images are classified right."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import operation


@operation
def count_correct(scores: Array, labels: Array) -> Array:
    """Return for how many images the first of their highest scores is their label's: shape (1,), on the device.

    scores: (N, K). labels: (N,), integers.

    >>> import numpy as np
    >>> count_correct(np.array([[0.0, 1.0, 1.0], [2.0, 1.0, 0.0]]), np.array([1, 1])).tolist()
    [1]
    """
    correct: Array = (scores.argmax(axis=1) == labels).sum(keepdims=True)
    return correct
