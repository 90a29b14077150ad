"""What is the best epoch, and when to stop: decided by validation, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gpucnn.config import EarlyStopping
from gpucnn.training.checkpoint import Progress
from gpucnn.training.evaluate import Evaluation
from gpucnn.training.stopping import improves, stops


def run(values: list[float], stopping: EarlyStopping | None) -> tuple[Progress, list[bool]]:
    """Return what is counted after epochs with these losses (or, in hundredths, accuracies)."""
    p, improved = Progress(), []
    by_loss = stopping is None or stopping.monitor == "loss"
    for value in values:
        right = 0 if by_loss else round(value)
        found = Evaluation(value if by_loss else 1.0, np.array([[right, 100 - right], [0, 0]]), None)
        improved.append(improves(found, p, stopping))
        p.next_epoch()
    return p, improved


@pytest.mark.parametrize("stopping", [None, EarlyStopping(patience=2)])
def test_a_lower_loss_is_better(stopping: EarlyStopping | None) -> None:
    p, improved = run([1.0, 0.5, 0.5, math.nan], stopping)
    assert improved == [True, True, False, False]
    assert (p.best, p.best_epoch, p.stale) == (0.5, 2, 2)
    assert stops(p, stopping) == (stopping is not None)


def test_a_higher_accuracy_is_better() -> None:
    p, improved = run([30, 60, 40], EarlyStopping(patience=2, monitor="accuracy"))
    assert improved == [True, True, False]
    assert (p.best, p.best_epoch, p.stale) == (0.6, 2, 1)
    assert not stops(p, EarlyStopping(patience=2, monitor="accuracy"))


def test_a_change_of_min_delta_is_no_improvement() -> None:
    stopping = EarlyStopping(patience=1, min_delta=0.25)
    assert run([1.0, 0.75, 0.74], stopping)[1] == [True, False, True]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_first_loss_that_is_not_finite_is_not_the_best(value: float) -> None:
    p, improved = run([value], None)
    assert (improved, p.best, p.best_epoch) == ([False], None, None)
