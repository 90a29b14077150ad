"""Labels of images, held against scores."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.ops.checks import check_full


def check_labels(scores: Array, labels: Array) -> None:
    """Raise unless labels (N,) are integers from 0 to K - 1, for scores (N, K) of float32 or float64.

    On a GPU the labels' range is not looked at, for that would stall the device at every step: data sets check
    theirs as they load, and a label out of range names no class.
    """
    check_full(scores=scores)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ShapeError(f"scores have shape {scores.shape}: they must be (images, classes), at least one of each")
    images, classes = scores.shape
    if labels.shape != (images,):
        raise ShapeError(f"labels have shape {labels.shape}: for scores of shape {scores.shape} it must be ({images},)")
    if labels.dtype.kind not in "iu":
        raise ArgumentError(f"labels are {labels.dtype}: they must be integers, from 0 to {classes - 1}")
    if array_module(labels) is np and not (labels.min() >= 0 and labels.max() < classes):
        wrong = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
        raise ArgumentError(f"labels[{wrong}] is {labels[wrong]}: for {classes} classes it must be 0 to {classes - 1}")


def one_hot(scores: Array, labels: Array) -> Array:
    """Return which class each label names, as booleans of the scores' shape (N, K). Raises as `check_labels` does.

    >>> one_hot(np.zeros((2, 3)), np.array([2, 0])).astype(int).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    check_labels(scores, labels)
    hits: Array = labels[:, None] == array_module(labels).arange(scores.shape[1])
    return hits
