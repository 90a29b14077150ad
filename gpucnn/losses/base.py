"""What a loss is: scores and targets to one number, and its gradient with respect to the scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from gpucnn.backend import Array, Shape, array_module
from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.registry import Registered


class Loss(Registered, ABC, kind="loss", package="gpucnn.losses"):
    """Base of all losses. scores: (N, K), float32 or float64; labels: (N,), integers from 0 to K - 1.

    The value is a mean over the images, in the scores' dtype; so is the gradient.
    """

    def check(self, shape: Shape, classes: int) -> None:
        """Raise unless a network whose output for one image has `shape`, and this loss, fit `classes` classes.

        ShapeError where the network does not fit, ArgumentError where the loss does not.
        """
        if shape != (classes,):
            raise ShapeError(
                f"the network ends in {'x'.join(map(str, shape))}, but the data has {classes} classes: "
                f"end with flatten (or global_avg_pool2d) and dense: {classes}"
            )

    @abstractmethod
    def forward(self, scores: Array, labels: Array) -> tuple[Array, Any]:
        """Return the loss (an array of no dimensions) and what `backward` needs."""

    @abstractmethod
    def backward(self, saved: Any) -> Array:
        """Return d loss / d scores, shape (N, K)."""

    @abstractmethod
    def probabilities(self, scores: Array) -> Array:
        """Return what the scores say as probabilities, shape (N, K): from 0 to 1, each row's sum 1."""


def one_hot(scores: Array, labels: Array) -> Array:
    """Return which class each label names, as booleans of the scores' shape (N, K).

    Raises ShapeError where scores and labels do not fit each other, ArgumentError where a label is no class.
    On a GPU the labels' range is not looked at, for that would stall the device at every step: data sets check
    theirs as they load, and a label out of range names no class.

    >>> one_hot(np.zeros((2, 3)), np.array([2, 0])).astype(int).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    if scores.ndim != 2 or 0 in scores.shape:
        raise ShapeError(f"scores have shape {scores.shape}: they must be (images, classes), at least one of each")
    images, classes = scores.shape
    if labels.shape != (images,):
        raise ShapeError(f"labels have shape {labels.shape}: for scores of shape {scores.shape} it must be ({images},)")
    if labels.dtype.kind not in "iu":
        raise ArgumentError(f"labels are {labels.dtype}: they must be integers, from 0 to {classes - 1}")
    if isinstance(labels, np.ndarray) and not (labels.min() >= 0 and labels.max() < classes):
        wrong = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
        raise ArgumentError(f"labels[{wrong}] is {labels[wrong]}: for {classes} classes it must be 0 to {classes - 1}")
    hits: Array = labels[:, None] == array_module(labels).arange(classes)
    return hits
