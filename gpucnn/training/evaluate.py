"""How well a network does on a split: loss, accuracy, and figures for each class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucnn.backend import Array, array_module, to_numpy
from gpucnn.config.experiment import Views
from gpucnn.data.loader import Loader
from gpucnn.losses.base import Loss
from gpucnn.model import Model
from gpucnn.training.views import averaged

_TOP = 5


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    loss: the mean of the batches' losses, each weighted by its images. accuracy: the share of images whose highest
    score is their label's. confusion: int64, (classes, classes); row: the true class, column: the predicted one.
    top5: the share of images whose label is among the five highest scores; None for five classes or fewer.

    >>> e = Evaluation(loss=0.5, confusion=np.array([[3, 1], [0, 4]]), top5=None)
    >>> e.images, e.accuracy
    (8, 0.875)
    >>> e.per_class(["cat", "dog"])[1]
    {'class': 'dog', 'precision': 0.8, 'recall': 1.0, 'f1': 0.888..., 'support': 4}
    """

    loss: float
    confusion: Array
    top5: float | None

    @property
    def images(self) -> int:
        """How many images were evaluated."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share of images that were classified right."""
        return int(self.confusion.trace()) / self.images

    def per_class(self, classes: Sequence[str]) -> list[dict[str, Any]]:
        """Return precision, recall, their harmonic mean F1, and how many images there are, for each class.

        precision = right / predicted as it, recall = right / support; 0 where nothing is to be divided by.
        """
        right, predicted, support = np.diag(self.confusion), self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return [
            {
                "class": name,
                "precision": float(r / max(1, p)),
                "recall": float(r / max(1, s)),
                "f1": float(2 * r / max(1, p + s)),
                "support": int(s),
            }
            for name, r, p, s in zip(classes, right, predicted, support, strict=True)
        ]

    def dump(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return the evaluation as plain data for JSON; a loss that is not finite is None."""
        return {
            "images": self.images,
            "loss": finite(self.loss),
            "accuracy": self.accuracy,
            **({} if self.top5 is None else {"top5_accuracy": self.top5}),
            "per_class": self.per_class(classes),
            "confusion": self.confusion.tolist(),
        }


def evaluate(
    model: Model,
    loss: Loss,
    loader: Loader,
    *,
    part: int | None = None,
    views: Views = Views(),  # noqa: B008 - frozen
    between: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Return how well `model` does on all images of `loader`, in its evaluating form (no dropout, running statistics).

    part: the images computed at a time, where a batch does not fit into memory. views: what scores are averages over,
    see `gpucnn.training.views`. between: called after every batch; it may raise to stop.
    """
    total, top, classes = 0.0, 0, model.output_shape[-1]
    confusion = np.zeros((classes, classes), np.int64)
    for x, labels in loader.batches(epoch=0):
        scores = averaged(lambda x: _scores(model, x, part or len(x)), x, views)
        total += float(loss.forward(scores, labels)[0]) * len(labels)
        truth, predicted = to_numpy(labels), to_numpy(scores.argmax(axis=1))
        confusion += np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)
        top += _in_top(scores, labels) if classes > _TOP else 0
        between()
    return Evaluation(total / loader.images, confusion, top / loader.images if classes > _TOP else None)


def _scores(model: Model, x: Array, part: int) -> Array:
    if part >= len(x):
        return model.forward(x)[0]
    parts = [model.forward(x[start : start + part])[0] for start in range(0, len(x), part)]
    scores: Array = array_module(x).concatenate(parts)
    return scores


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it: None for infinities and NaN."""
    return value if math.isfinite(value) else None


def _in_top(scores: Array, labels: Array) -> int:
    """Return for how many images fewer than five scores are higher than their label's (and it is a number)."""
    own = scores[array_module(scores).arange(len(labels)), labels][:, None]
    return int(((scores > own).sum(axis=1) < _TOP)[(own == own)[:, 0]].sum())
