"""What a loss is: scores and targets to one number, and its gradient with respect to the scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from gpucnn.backend import Array, Shape
from gpucnn.errors import ShapeError
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

    def weight(self, labels: Array) -> float | Array:
        """Return what the mean over the images is divided by: their number, unless they have weights.

        What depends on the labels is an array of no dimensions where they are, float64: nothing waits for it.
        """
        return float(len(labels))

    @abstractmethod
    def probabilities(self, scores: Array) -> Array:
        """Return what the scores say as probabilities, shape (N, K): from 0 to 1, each row's sum 1."""
