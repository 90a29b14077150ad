"""Dropout: random elements set to zero, the others made larger by as much as was lost.

    y = x m        m = 0 with probability `rate`, 1 / (1 - rate) otherwise        dx = dy m

Source: N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
"""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation
from gpucnn.ops.checks import check_dtypes
from gpucnn.random import Stream


def dropout(x: Array, rate: float, stream: Stream, *, start: int = 0) -> tuple[Array, Array]:
    """Return y, and which elements are kept, one byte each: 0 where the stream's number is below `rate`, else 1.

    The numbers are float32 whatever the dtype of x, so that the same elements are kept in every precision.
    start: the first one's place in the stream, where x is a part of a batch.

    >>> y, kept = dropout(np.ones(4), 0.5, Stream(0, "doc"))
    >>> y.tolist() == (2 * kept).tolist(), kept.dtype.name
    (True, 'uint8')
    """
    check_dtypes(x=x)
    return _dropout(x, rate, stream, start)


@operation
def _dropout(x: Array, rate: float, stream: Stream, start: int) -> tuple[Array, Array]:
    kept = (stream.uniform(x.shape, np.float32, array_module(x), start) >= rate).astype(np.uint8)
    return x * _factors(kept, rate, x), kept


@operation
def dropout_backward(dy: Array, kept: Array, rate: float) -> Array:
    """Return dx = dy m."""
    dx: Array = dy * _factors(kept, rate, dy)
    return dx


def _factors(kept: Array, rate: float, like: Array) -> Array:
    """Return m, in the dtype of `like`."""
    factors: Array = kept * like.dtype.type(1 / (1 - rate))
    return factors
