"""When an epoch is the best so far, and when to stop because none has been for a while. Decided by validation alone."""

from __future__ import annotations

import math

from gpucnn.config.experiment import EarlyStopping
from gpucnn.training.checkpoint import Progress
from gpucnn.training.evaluate import Evaluation


def improves(found: Evaluation, p: Progress, stopping: EarlyStopping | None) -> bool:
    """Return whether an epoch's validation is better than the best so far by more than min_delta, and count it.

    Without early stopping, the loss decides, and any improvement counts. A loss that is not finite is none.
    """
    by_loss = stopping is None or stopping.monitor == "loss"
    value = found.loss if by_loss else found.accuracy
    best = (math.inf if by_loss else -math.inf) if p.best is None else p.best
    gain = best - value if by_loss else value - best
    if math.isfinite(value) and gain > (stopping.min_delta if stopping else 0.0):
        p.best, p.best_epoch, p.stale = value, p.epoch + 1, 0
        return True
    p.stale += 1
    return False


def stops(p: Progress, stopping: EarlyStopping | None) -> bool:
    """Return whether early stopping ends training here."""
    return stopping is not None and p.stale >= stopping.patience
