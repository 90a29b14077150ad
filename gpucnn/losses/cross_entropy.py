"""Softmax cross-entropy: the loss of classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn import ops
from gpucnn.arguments import Fraction, PositiveFloat
from gpucnn.backend import Array, Shape, array_module
from gpucnn.constants import constant
from gpucnn.dispatch import at_once
from gpucnn.errors import ArgumentError
from gpucnn.losses.base import Loss


class CrossEntropy(Loss, name="cross_entropy"):
    """Softmax cross-entropy, the mean over the images, as torch.nn.functional.cross_entropy.

    With labels l, K classes, smoothing e and class weights v (all 1 where none are given):

        t_nk = v_k ((1 - e) [k = l_n] + e / K)        loss = -sum_nk t_nk log softmax(x_n)_k / sum_n v_(l_n)

    label_smoothing: e, from 0 to below 1 (Szegedy et al., "Rethinking the Inception architecture", CVPR 2016).
    class_weights: v, one positive number a class; only their ratios count.

    >>> import numpy as np
    >>> loss, saved = CrossEntropy().forward(np.array([[0.0, np.log(3.0)]]), np.array([1]))
    >>> round(float(loss), 6), round(np.log(4 / 3), 6).item()
    (0.287682, 0.287682)
    >>> CrossEntropy().backward(saved).round(6).tolist()
    [[0.25, -0.25]]
    """

    def __init__(self, label_smoothing: Fraction = 0.0, class_weights: list[PositiveFloat] | None = None) -> None:
        self.label_smoothing, self.class_weights = label_smoothing, class_weights

    def check(self, shape: Shape, classes: int) -> None:
        """Raise where network, class weights and data do not fit."""
        super().check(shape, classes)
        if self.class_weights is not None and len(self.class_weights) != classes:
            raise ArgumentError(
                f"class_weights has {len(self.class_weights)} numbers, the data {classes} classes: give one for each"
            )

    def forward(self, scores: Array, labels: Array) -> tuple[Array, Any]:
        """Return the loss; backward needs the labels and the logarithms of the probabilities, or has its result."""
        if self.class_weights is None and at_once("cross_entropy.cross_entropy_gradient", scores):
            loss, gradient = ops.cross_entropy_gradient(scores, labels, label_smoothing=self.label_smoothing)
            return loss, (gradient,)
        weights = self._weights(scores)
        loss, saved = ops.cross_entropy(scores, labels, weights, label_smoothing=self.label_smoothing)
        return loss, (labels, saved, weights)

    def backward(self, saved: Any) -> Array:
        """Return softmax(x)_k sum_j t_j - t_k for each image."""
        if len(saved) == 1:
            gradient: Array = saved[0]
            return gradient
        labels, saved, weights = saved
        return ops.cross_entropy_backward(labels, saved, weights, label_smoothing=self.label_smoothing)

    def weight(self, labels: Array) -> float | Array:
        """Return the sum of the weights of the labels' classes."""
        if self.class_weights is None:
            return super().weight(labels)
        weights = constant(np.asarray(self.class_weights, np.float64), like=labels)
        total: Array = (weights * (labels[:, None] == array_module(labels).arange(len(weights)))).sum()
        return total

    def probabilities(self, scores: Array) -> Array:
        """Return softmax(x)."""
        return ops.softmax(scores)

    def _weights(self, scores: Array) -> Array | None:
        if self.class_weights is None:
            return None
        if scores.ndim == 2:
            self.check(scores.shape[1:], scores.shape[1])
        return constant(np.asarray(self.class_weights, scores.dtype), like=scores)
