"""Of each element by itself: activations, sums of two arrays, dropout, casts."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn import ops
from gpucnn.ops.cast import store, widened
from gpucnn.random import Stream
from mutants.arrays import HF, SCORES, X
from mutants.mutant import Mutant, Run

RAW = np.concatenate([np.arange(2**16).astype(np.uint32) << 16 | low for low in (0, 0x1000, 0x3000)]).view(np.float32)
RAW = RAW[np.abs(RAW) < 60000]


def dropped() -> list[Any]:
    y, kept = ops.dropout(SCORES, 0.4, Stream(3, "mutant", 2))
    return [y, kept, ops.dropout_backward(SCORES, kept, 0.4)]


def stored() -> list[Any]:
    """Of a short array and one of several chunks, as halves: their last bits, in which most of rounding shows."""
    found = [np.full(3, np.nan, np.float16), np.full(RAW.shape, np.nan, np.float16)]
    store([np.ones(3, np.float32), RAW], found, np.array([0.5], np.float32))
    return [half.view(np.uint16) % 64 for half in found]


RUNS: dict[str, Run] = {
    "relu": lambda: [ops.relu_backward(X, np.maximum(X, 0), np.maximum(X, 0))],
    "gelu": lambda: [ops.gelu(X), ops.gelu_backward(X, X, X)],
    "add": lambda: [ops.add(SCORES, SCORES[::-1].copy())],
    "dropout": dropped,
    "dropout, queued": lambda: list(ops.dropout(SCORES, 0.4, Stream(3, "mutant", 2, now=np.array([5], np.int32)))),
    "store": stored,
    "widen": lambda: [widened(HF)],
}

MUTANTS = [
    Mutant("cast", "rest >> 13 & 1", "0", "store", "float16"),
    Mutant("cast", "rest < 0x38800000u", "rest < 0x38000000u", "store", "float16"),
    Mutant("cast", "value[i] * factor", "value[i]", "store", "float16"),
    Mutant("cast", "stored[chunk.array]", "stored[0]", "store", "float16"),
    Mutant("cast", "i < chunk.end", "i <= chunk.end", "store", "float16"),
    Mutant("cast", "if (i < count) y", "y", "widen", "float16"),
    Mutant("add", "Acc(left[i]) + Acc(right[i])", "Acc(left[i])", "add"),
    Mutant("activation", "normal_cdf(v) + v", "normal_cdf(v) - v", "gelu"),
    Mutant("add", "if (i < count) y", "y", "add"),
    Mutant("activation", "return Acc(y) > 0;", "return Acc(y) >= 0;", "relu"),
    Mutant("dropout", "i < 0 || i >= count", "i < 0", "dropout"),
    Mutant("dropout", "drawn.word[j]", "drawn.word[3 - j]", "dropout"),
    Mutant("dropout", "(kept[i] ? scale : Acc(0)));\n  }", "Acc(kept[i]));\n  }", "dropout"),
    Mutant("dropout", "if (i < count) dx", "dx", "dropout"),
    Mutant("dropout", "now ? uint32(*now) : step", "step", "dropout, queued"),
]
