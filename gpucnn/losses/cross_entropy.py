"""Softmax cross-entropy: the loss of classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn.arguments import Fraction, PositiveFloat
from gpucnn.backend import Array, Shape, array_module
from gpucnn.errors import ArgumentError
from gpucnn.losses.base import Loss, one_hot
from gpucnn.ops.softmax import log_softmax, log_softmax_backward, softmax


class CrossEntropy(Loss, name="cross_entropy"):
    """Softmax cross-entropy, the mean over the images, as torch.nn.functional.cross_entropy.

    With labels l, K classes, smoothing e and class weights v (all 1 where none are given):

        t_nk = v_k ((1 - e) [k = l_n] + e / K) / sum_m v_(l_m)
        loss = -sum_nk t_nk log softmax(x_n)_k        dx_nk = softmax(x_n)_k sum_j t_nj - t_nk

    label_smoothing: e, from 0 to below 1 (Szegedy et al., "Rethinking the Inception architecture", CVPR 2016).
    class_weights: v, one positive number a class; only their ratios count.

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
        """Return the loss, and (targets t, logarithms of the probabilities)."""
        targets = self._targets(scores, labels)
        logs = log_softmax(scores)
        with np.errstate(invalid="ignore"):  # 0 times an infinite score is NaN, which the trainer reports
            loss: Array = -(targets * logs).sum(dtype=np.float64)
        return array_module(scores).asarray(loss, scores.dtype), (targets, logs)

    def backward(self, saved: Any) -> Array:
        """Return softmax(x)_k sum_j t_j - t_k for each image."""
        targets, logs = saved
        return log_softmax_backward(-targets, logs)

    def probabilities(self, scores: Array) -> Array:
        """Return softmax(x)."""
        return softmax(scores)

    def _targets(self, scores: Array, labels: Array) -> Array:
        """Return t, by which the logarithms are weighted: their sum is 1 where classes have no weights."""
        hits = one_hot(scores, labels)
        images, classes = hits.shape
        targets: Array = (1 - self.label_smoothing) * hits + self.label_smoothing / classes
        if self.class_weights is not None:
            self.check(scores.shape[1:], classes)
            weights = array_module(scores).asarray(self.class_weights)
            targets *= weights / (hits * weights).sum()
        else:
            targets /= images
        return targets.astype(scores.dtype)
