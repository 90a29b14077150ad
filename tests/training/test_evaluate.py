"""Evaluation against counting by hand, and against scikit-learn where it is installed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpucnn.data.base import ArraySource
from gpucnn.data.loader import Loader
from gpucnn.losses.cross_entropy import CrossEntropy
from gpucnn.training.evaluate import Evaluation, evaluate


def model(classes: int) -> Any:
    """A network whose scores are the pixels of its images."""
    return SimpleNamespace(forward=lambda x: (x.reshape(len(x), -1), None), output_shape=(classes,))


def loader(scores: np.ndarray, labels: np.ndarray, batch_size: int = 4) -> Loader:
    images = scores.reshape(len(scores), 1, -1, 1)
    return Loader(ArraySource(images, labels), np.arange(len(labels)), batch_size, seed=0, shuffle=False, dtype=float)


def test_counts_by_hand() -> None:
    scores = np.array([[2.0, 1, 0], [0, 1, 2], [0, 3, 1], [5, 0, 0], [0, 0, 1]])
    labels = np.array([0, 1, 1, 2, 2])
    found = evaluate(model(3), CrossEntropy(), loader(scores, labels, batch_size=2))
    assert found.confusion.tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 1]]
    assert (found.images, found.accuracy, found.top5) == (5, 3 / 5, None)
    by_hand = [np.log(np.exp(row).sum()) - row[label] for row, label in zip(scores, labels, strict=True)]
    assert found.loss == pytest.approx(np.mean(by_hand), rel=1e-12)  # the last batch is smaller and counts less
    assert found.per_class("abc") == [
        {"class": "a", "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1},
        {"class": "b", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2},
        {"class": "c", "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
    ]


def test_top5_counts_scores_that_are_higher() -> None:
    scores = np.tile(np.arange(7.0), (7, 1))
    found = evaluate(model(7), CrossEntropy(), loader(scores, np.arange(7)))
    assert found.top5 == 5 / 7
    scores[:] = np.nan
    assert evaluate(model(7), CrossEntropy(), loader(scores, np.arange(7))).top5 == 0


def test_a_class_that_is_never_seen_or_predicted_has_zeros() -> None:
    found = Evaluation(0.0, np.array([[2, 0], [0, 0]]), None).per_class("ab")[1]
    assert found == {"class": "b", "precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_as_plain_data() -> None:
    data = Evaluation(float("nan"), np.array([[2, 0], [1, 1]]), 0.5).dump("ab")
    assert data["loss"] is None
    assert (data["images"], data["accuracy"], data["top5_accuracy"]) == (4, 0.75, 0.5)
    assert data["confusion"] == [[2, 0], [1, 1]]


def test_it_can_be_stopped_between_batches() -> None:
    seen = []

    def between() -> None:
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(model(3), CrossEntropy(), loader(np.zeros((20, 3)), np.zeros(20, int)), between=between)
    assert len(seen) == 2


def test_against_scikit_learn(rng: np.random.Generator) -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    scores, labels = rng.standard_normal((200, 6)), rng.integers(0, 6, 200)
    found = evaluate(model(6), CrossEntropy(), loader(scores, labels))
    predicted = scores.argmax(1)
    assert found.confusion.tolist() == sklearn_metrics.confusion_matrix(labels, predicted).tolist()
    expected = np.array(sklearn_metrics.precision_recall_fscore_support(labels, predicted))
    mine = [[row[key] for row in found.per_class("abcdef")] for key in ("precision", "recall", "f1", "support")]
    np.testing.assert_allclose(mine, expected, rtol=1e-12)
    assert found.top5 == pytest.approx(sklearn_metrics.top_k_accuracy_score(labels, scores, k=5))
