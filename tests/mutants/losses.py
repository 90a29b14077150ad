"""What is computed of rows of scores: softmax, losses, accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
from checks.arrays import numbers

from gpucnn import ops
from mutants.arrays import LABELS, SCORES
from mutants.mutant import Mutant, Run

SPREAD = numbers(12, (300, 5), dtype="float32")[0]
RATED = np.round(numbers(10, (57, 37), dtype="float32")[0])
FIRST = RATED.argmax(axis=1)  # of the largest scores of each row; then the last of them; then the first on the left
LAST = 36 - RATED[:, ::-1].argmax(axis=1)
LEFT = RATED[:, :29].argmax(axis=1)


def cross_entropy() -> list[Any]:
    loss, saved = ops.cross_entropy(SCORES, LABELS, label_smoothing=0.1)
    return [loss, ops.cross_entropy_backward(LABELS, saved, label_smoothing=0.1)]


RUNS: dict[str, Run] = {
    "softmax": lambda: [ops.softmax(SCORES), ops.softmax_backward(SCORES, SCORES)],
    "cross-entropy": cross_entropy,
    "cross-entropy at once": lambda: list(ops.cross_entropy_gradient(SPREAD, np.arange(300) % 5, label_smoothing=0.1)),
    "mse": lambda: [ops.mse(SCORES, LABELS), ops.mse_backward(SCORES, LABELS)],
    "binary": lambda: [ops.binary_cross_entropy(SCORES, LABELS), ops.binary_cross_entropy_backward(SCORES, LABELS)],
    "accuracy": lambda: [ops.count_correct(RATED, labels) for labels in (FIRST, LAST, LEFT)],
}

MUTANTS = [
    Mutant("softmax", "(warp_row() >= rows)", "(warp_row() >= rows || lane() >= columns % 32)", "softmax"),
    Mutant("softmax", "sum = warp_sum(sum);", "", "softmax"),
    Mutant("cross_entropy", "if (lane() == 0) losses", "losses", "cross-entropy"),
    Mutant("cross_entropy", "smoothing / Acc(columns)", "smoothing", "cross-entropy"),
    Mutant("cross_entropy", "share = Acc(1) / Acc(rows)", "share = Acc(1)", "cross-entropy at once"),
    Mutant("cross_entropy", "if (lane() == 0) losses[row] = loss;", "losses[row] = loss;", "cross-entropy at once"),
    Mutant("cross_entropy", "row += THREADS", "row += THREADS + 1", "cross-entropy at once"),
    Mutant("mse", "k == labels[row]", "row == labels[k]", "mse"),
    Mutant("mse", "if (lane() == 0) losses", "losses", "mse"),
    Mutant("mse", "labels[i / columns]", "labels[i % columns]", "mse"),
    Mutant("mse", "if (i >= rows * columns) return;", "", "mse"),
    Mutant("binary_cross_entropy", "(z < 0 ? Acc(0) : z)", "(z < 0 ? z : Acc(0))", "binary"),
    Mutant("binary_cross_entropy", "loss = warp_sum(loss);", "", "binary"),
    Mutant("binary_cross_entropy", "hit ? -sigmoid : sigmoid", "sigmoid", "binary"),
    Mutant("accuracy", "n < rows ? labels[n] : -1", "labels[n]", "accuracy"),
    Mutant("accuracy", "x == y && k < l", "x == y && k > l", "accuracy"),
    Mutant("accuracy", "scores + n * columns", "scores", "accuracy"),
    Mutant("accuracy", "k < columns", "k < columns - 8", "accuracy"),
    Mutant("accuracy", "warp_max(right ? Acc(0) : Acc(1)) == 0", "right", "accuracy"),
    Mutant("accuracy", "right && lane() == 0", "right", "accuracy"),
    Mutant("accuracy", "atomicAdd(total, found)", "*total += found", "accuracy"),
    Mutant("accuracy", "threadIdx.x == 0 && found", "found", "accuracy"),
]
