"""Dropout: random elements set to zero, the others made larger by as much as was lost.

    y = x m        m = 0 with probability `rate`, 1 / (1 - rate) otherwise        dx = dy m

Source: N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
"""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import operation
from gpucnn.ops.checks import check_full
from gpucnn.random import Stream


def dropout(x: Array, rate: float, stream: Stream, *, start: int = 0) -> tuple[Array, Array]:
    """Return y and the mask m, both of the shape and dtype of x: m is 0 where the stream's number is below `rate`.

    The numbers are float32 whatever the dtype of x, so that the mask is the same in every precision.
    start: the first one's place in the stream, where x is a part of a batch.

    >>> y, mask = dropout(np.ones(4), 0.5, Stream(0, "doc"))
    >>> y.tolist() == mask.tolist(), sorted(set(mask.tolist()) | {0.0, 2.0})
    (True, [0.0, 2.0])
    """
    check_full(x=x)
    return _dropout(x, rate, stream, start)


@operation
def _dropout(x: Array, rate: float, stream: Stream, start: int) -> tuple[Array, Array]:
    kept = stream.uniform(x.shape, np.float32, array_module(x), start) >= rate
    mask = kept * x.dtype.type(1 / (1 - rate))
    return x * mask, mask


@operation
def dropout_backward(dy: Array, mask: Array) -> Array:
    """Return dx = dy m."""
    dx: Array = dy * mask
    return dx
