"""Broken kernels, each with one mistake of the kind that is made: every one must be caught.

What catches it is a test like those beside this one: a result that is not the reference's, or what the run time stops
at (guard pages, races, barriers). The mutants are compiled together, each in a namespace of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checks.arrays import numbers
from checks.calls import some_frames
from checks.plans import forced
from checks.probe import TOGETHER, copied, some_floats, wrong_roundings
from cushim.expected import reference
from cushim.module import KernelError, Module, Schedule

from gpucnn import dispatch, ops
from gpucnn.backend import Device
from gpucnn.cuda import conv2d_gradients, launch, plans, sums
from gpucnn.cuda.sources import kernels, source
from gpucnn.cuda.step import ROWS, Backup, Ledger
from gpucnn.ops.activation import RELU, Function
from gpucnn.ops.batch_norm_activation import Running
from gpucnn.ops.cast import store, widened
from gpucnn.ops.finite import count_nonfinite
from gpucnn.ops.loss_scale import adapt_loss_scale
from gpucnn.ops.sums import sum_rows
from gpucnn.ops.update import adagrad_update, adam_update, sgd_update
from gpucnn.random import Stream
from gpucnn.resources import folder

Run = Callable[[], list[Any]]

KERNEL = re.compile(r'extern "C" __global__.*?(\w+)\([^()]*\) \{.*?\n\}\n', re.DOTALL)

WINDOW: dict[str, Any] = {"stride": (2, 3), "padding": ((2, 1), (1, 1)), "dilation": (1, 2), "groups": 2}
X, W, B = numbers(1, (2, 12, 13, 4), (6, 3, 3, 2), (6,), dtype="float32")
DY = numbers(2, ops.conv2d_output_shape(X.shape, W.shape, **WINDOW), dtype="float32")[0]
LEFT_OVER = WINDOW | {"padding": ((2, 0), (1, 1))}  # the last window ends before the last row
DL = numbers(2, ops.conv2d_output_shape(X.shape, W.shape, **LEFT_OVER), dtype="float32")[0]
FOURS: dict[str, Any] = {"stride": 2, "padding": ((2, 1), (1, 0)), "groups": 2}
F, U = numbers(6, (2, 9, 12, 40), (72, 3, 2, 20), dtype="float32")
HF, HU = (array.astype(np.float16) for array in (F, U))
DU = numbers(7, ops.conv2d_output_shape(F.shape, U.shape, **FOURS), dtype="float32")[0]
HM, HN, DM = (a.astype(np.float16) for a in numbers(8, (1, 9, 8, 24), (72, 3, 2, 24), (1, 9, 9, 72), dtype="float32"))
G = U[:, 0, 0, 0]
TANH, LEAKY = Function("tanh", reads="y"), Function("leaky_relu", (("slope", 0.3),), "x")
DEPTHWISE: dict[str, Any] = {"stride": 2, "padding": 1, "groups": 4}
V = numbers(3, (8, 3, 3, 1), dtype="float32")[0]
DV = numbers(4, ops.conv2d_output_shape(X.shape, V.shape, **DEPTHWISE), dtype="float32")[0]
POOL: dict[str, Any] = {"kernel_size": (3, 2), "stride": (2, 1), "padding": ((1, 0), (0, 1))}
SCORES, LABELS = numbers(5, (9, 37), dtype="float32")[0], np.arange(9)
SPREAD = numbers(12, (300, 5), dtype="float32")[0]
RAW = np.concatenate([np.arange(2**16).astype(np.uint32) << 16 | low for low in (0, 0x1000, 0x3000)]).view(np.float32)
RAW = RAW[np.abs(RAW) < 60000]
RATED = np.round(numbers(10, (57, 37), dtype="float32")[0])
FIRST = RATED.argmax(axis=1)  # of the largest scores of each row; then the last of them; then the first on the left
LAST = 36 - RATED[:, ::-1].argmax(axis=1)
LEFT = RATED[:, :29].argmax(axis=1)
WHOLE = np.round(X)  # many equal numbers
WHOLE[0, 3, 3, 1] = np.nan


def max_pool() -> list[Any]:
    y, index = ops.max_pool2d(WHOLE, **POOL)
    return [y, index, ops.max_pool2d_backward(np.float32(index), index, X.shape, **POOL)]


def mean_pool() -> list[Any]:
    y = ops.avg_pool2d(X, **POOL, count_include_pad=False)
    return [y, ops.avg_pool2d_backward(y, X.shape, **POOL, count_include_pad=False)]


def cross_entropy() -> list[Any]:
    loss, saved = ops.cross_entropy(SCORES, LABELS, label_smoothing=0.1)
    return [loss, ops.cross_entropy_backward(LABELS, saved, label_smoothing=0.1)]


def batch_norm() -> list[Any]:
    y, mean, var, saved = ops.batch_norm_train(X + 3, X[0, 0, 0], X[0, 0, 1])
    return [y, mean, var, *ops.batch_norm_backward(X, saved)]


def batch_norm_and_all() -> list[Any]:
    """Of 12 channels, whose threads do not fill a block, with an array added, relu and running statistics."""
    x = X.reshape(-1, 12)
    running = Running(np.full(12, 2, np.float32), np.ones(12, np.float32), 0.5)
    y, *_, saved = ops.batch_norm_activation_train(x + 3, x[0], x[1], 1e-3, RELU, x[::-1].copy(), running)
    return [y, running.mean, running.var, *ops.batch_norm_activation_backward(x, saved)]


def behind(bias: bool) -> list[Any]:
    """Behind an activation, with and without a bias."""
    g, db = ops.bias_activation_backward(X, (X, X), RELU, bias)
    return [g] if db is None else [g, db]


def steps(update: Callable[..., None], slots: int, **options: Any) -> list[Any]:
    """Of two arrays, one of several chunks and exempt from decay."""
    large = np.resize(X, 5000)
    values, *remembered = ([array.copy() for array in (X, large)], *([abs(X), abs(large)] for _ in range(slots)))
    update(values, [X[::-1].copy(), large[::-1].copy()], *remembered, [True, False], **options)
    return [array for arrays in (values, *remembered) for array in arrays]


def from_the_device() -> list[Any]:
    """Steps whose numbers, scale and whether they are taken stand in arrays."""
    scale, no, yes = np.array([4], np.float32), np.zeros(1, np.int32), np.ones(1, np.int32)
    sgd, adagrad = {"lr": 9, "momentum": 0.9, "decay": 0.1, "nesterov": False}, {"lr": 9, "eps": 0.1, "decay": 0.1}
    adam = {"lr": 9, "step": 9, "beta1": 0.9, "beta2": 0.99, "eps": 0.1, "decay": 0.1, "decoupled": True}
    one, three = np.array([0.1], np.float32), np.array([0.2, 0.6, 0.9], np.float32)
    found = []
    for update, slots, options, row in (
        (sgd_update, 1, sgd, one), (adam_update, 2, adam, three), (adagrad_update, 1, adagrad, one),
    ):  # fmt: skip
        for skip in (no, yes):
            found += steps(update, slots, **options, numbers=row, skip=skip, unscale=scale)
    return found


def copied_arrays() -> list[Any]:
    """Of one array of several chunks and a short one: kept as they are, left as they were changed, put back."""
    arrays = [np.resize(X, 5000).copy(), B.copy()]
    kept, changed = ([array + number for array in arrays] for number in (1, 2))
    if "numpy" not in launch.compilers:
        return [*changed, *kept]
    backup = Backup(arrays)
    arrays[0] += 1
    arrays[1] += 1
    backup.keep()
    arrays[0] += 1
    arrays[1] += 1
    backup.put_back(np.zeros(1, np.int32))
    left = [array.copy() for array in arrays]
    backup.put_back(np.ones(1, np.int32))
    return [*left, *arrays]


def finished() -> list[Any]:
    """Steps of a page of which the third has a gradient that is not finite; and the row that comes after the last."""
    ledger = Ledger(Device("cpu"), np.float32, 2)
    if "numpy" not in launch.compilers:
        return EXPECTED_PAGE
    ledger.open(7, [(i, i + 0.5) for i in range(ROWS)])
    found = []
    for i in range(5):
        ledger._counters[1] += (ROWS - 3) * (i == 1)
        grads = [np.full(3, np.inf if i == 3 else 1, np.float32), np.ones(1, np.float32)]
        ledger.finish(np.array(0.25 * i, np.float32), np.array([i], np.int32), grads)
        found += [ledger._counters.copy(), ledger.numbers.copy()]
    return [*found, ledger.losses()[[0, 1, -2, -1]], ledger._corrects[[0, 1, -2, -1]]]


def gathered() -> list[Any]:
    """Of images of several blocks; the one that comes last in the data set is the last in the batch, too."""
    rng = np.random.default_rng(4)
    images, indices = rng.integers(0, 256, (9, 5, 7, 3)).astype(np.uint8), np.array([3, 0, 0, 5, 8])
    frames = np.stack([some_frames(rng, len(indices), images.shape[1:]) for _ in range(2)], axis=1)
    given = (images, np.arange(9), indices, frames, *numbers(9, (3,), (3,), dtype="float32"))
    return [*ops.gather(*given), *ops.gather(*given, batch=np.array([1], np.int32), size=2)]


def scaled() -> list[Any]:
    """Steps of which the fourth is bad, and the second and the last double."""
    scale, counts, seen = np.array([8], np.float32), np.array([0, 5], np.int32), []
    for found in (0, 0, 0, 7, 0, 0):
        adapt_loss_scale(scale, counts, np.array([found], np.int32), 2)
        seen += [scale.copy(), counts.copy()]
    adapt_loss_scale(scale, counts, np.array([1], np.int32), 2, np.array([1], np.int32))
    return [*seen, scale, counts]


def dropped() -> list[Any]:
    y, kept = ops.dropout(SCORES, 0.4, Stream(3, "mutant", 2))
    return [y, kept, ops.dropout_backward(SCORES, kept, 0.4)]


def nonfinite() -> list[Any]:
    """Of a short array and one of several chunks."""
    long = np.repeat([0.0, np.nan, 1.0, np.inf], [2000, 80, 20, 3]).astype(np.float32)
    return [count_nonfinite(np.ones(3, np.float32), long)]


def stored() -> list[Any]:
    """Of a short array and one of several chunks, as halves: their last bits, in which most of rounding shows."""
    found = [np.full(3, np.nan, np.float16), np.full(RAW.shape, np.nan, np.float16)]
    store([np.ones(3, np.float32), RAW], found, np.array([0.5], np.float32))
    return [half.view(np.uint16) % 64 for half in found]


BANDED: dict[str, Any] = {"stride": (2, 1), "padding": ((1, 2), (0, 1)), "dilation": (1, 2)}
BX, BW = numbers(11, (2, 15, 17, 16), (20, 3, 2, 16), dtype="float32")
BY = numbers(12, ops.conv2d_output_shape(BX.shape, BW.shape, **BANDED), dtype="float32")[0]
CX, CW, CY = numbers(13, (1, 7, 6, 3), (5, 3, 2, 3), (1, 5, 5, 5), dtype="float32")
CN, SN = ((*numbers(19, (n,), (n,), (n,), dtype="float32"), np.ones(n, np.float32), 1e-3) for n in (5, 2))
GX, GW, GY = numbers(18, (2, 9, 7, 12), (16, 3, 3, 12), (2, 9, 7, 16), dtype="float32")
SLID: dict[str, Any] = {"stride": 2, "padding": ((1, 2), (1, 0)), "groups": 2}
SX, SW = numbers(13, (2, 37, 20, 2), (2, 3, 3, 1), dtype="float32")
SY = numbers(14, ops.conv2d_output_shape(SX.shape, SW.shape, **SLID), dtype="float32")[0]


def by(plan: str, operation: Callable[..., Any], *given: Any, **arguments: Any) -> Run:
    """Return what computes an operation by a plan."""

    def run() -> list[Any]:
        with plans.using(lambda task: plans.Plan.read(plan)):
            return [operation(*given, **arguments)]

    return run


def both_gradients() -> list[Any]:
    """Of two images, each of several tiles, in two pieces."""
    if "numpy" not in launch.compilers:
        return [
            ops.conv2d_backward_data(GY, GW, GX.shape, padding=1),
            ops.conv2d_backward_weight(GX, GY, GW.shape, padding=1),
        ]
    with pytest.MonkeyPatch.context() as patch:
        plan = plans.Plan.read("band_backward rows=5 columns=7 pieces=2")
        patch.setattr(conv2d_gradients, "chosen", lambda task: plan)
        return list(ops.conv2d_gradients(GX, GY, GW, padding=1))


def sums_together() -> list[Any]:
    """Of two arrays, one of several blocks."""
    parts = [X.reshape(24, -1)[:, :7].copy(), X.reshape(4, -1)]
    if "numpy" not in launch.compilers:
        return [part.sum(axis=0) for part in parts]
    out = [np.empty(part.shape[1:], np.float32) for part in parts]
    with sums.together(), sums.later():
        for pair in zip(parts, out, strict=True):
            sums.add_parts_into(*pair)
    return out


def probe() -> list[Any]:
    if "numpy" not in launch.compilers:
        x = np.arange(3 * 256 * 4, dtype=np.uint32).reshape(3, 256, 4)
        return [np.zeros(4, np.int32), np.stack([x] * 3)]
    return [wrong_roundings(np, some_floats()), copied(np)[1]]


def probe_together() -> list[Any]:
    if "numpy" not in launch.compilers:
        return [np.zeros(1)] * len(TOGETHER)
    return [np.float64(found != expected).max(keepdims=True) for found, expected in (run(np) for run in TOGETHER)]


def on_tensor_cores(operation: Callable[..., Any], *given: Any, **options: Any) -> list[Any]:
    with forced("mma", m=64, n=64):
        return [operation(*given, **options)]


EXPECTED_PAGE: list[Any] = [
    *(np.array([8, 1, 1, 0]), np.array([0, 0.5])),
    *(np.array([9, ROWS - 1, 2, 0]), np.array([ROWS - 2, ROWS - 1.5])),
    *(np.array([10, 0, 3, 0]), np.array([ROWS - 1, ROWS - 0.5])),
    *(np.array([10, 0, 3, 1]), np.array([ROWS - 1, ROWS - 0.5])) * 2,
    np.array([0, 0, 0.25, 0.5]),
    np.array([0, 0, 1, 2]),
]
"""Step, row, batch and skip after each step, and its numbers; then losses and counts of the first and last rows."""

RUNS: dict[str, Run] = {
    "conv2d": lambda: [ops.conv2d(X, W, B, **WINDOW)],
    "conv2d data": lambda: [ops.conv2d_backward_data(DL, W, X.shape, **LEFT_OVER)],
    "conv2d weight": lambda: [ops.conv2d_backward_weight(X, DY, W.shape, **WINDOW)],
    "tiles": lambda: [ops.conv2d(F, U, **FOURS)],
    "tiles by threes": lambda: [
        ops.conv2d(*numbers(8, (1, 5, 4, 3), (17, 2, 3, 3), (17,), dtype="float32"), padding=1)
    ],
    "tiles data": lambda: [ops.conv2d_backward_data(DU, U, F.shape, **FOURS)],
    "tiles weight": lambda: [ops.conv2d_backward_weight(F, DU, U.shape, **FOURS)],
    "halves": lambda: [ops.conv2d(HF[:1, :3, :4, 20:], HU[:3], padding=1)],
    "halves by tiles": lambda: [ops.conv2d(HF, HU, **FOURS)],
    "tiles weight by threes": lambda: [
        ops.conv2d_backward_weight(
            *numbers(9, (1, 6, 5, 3), (1, 5, 5, 17), dtype="float32"), (17, 2, 3, 3), padding=((0, 0), (1, 1))
        )
    ],
    "depthwise": lambda: [ops.conv2d(X, V, **DEPTHWISE)],
    "depthwise data": lambda: [ops.conv2d_backward_data(DV, V, X.shape, **DEPTHWISE)],
    "depthwise weight": lambda: [ops.conv2d_backward_weight(X, DV, V.shape, **DEPTHWISE)],
    "band": by("band pixels=4 rows=3 columns=5", ops.conv2d, BX, BW, **BANDED),
    "band ended": by("band pixels=4 rows=3 columns=5", ops.conv2d_batch_norm_eval, CX, CW, None, CN, TANH, CY),
    "sliding ended": by("sliding height=10", ops.conv2d_batch_norm_eval, SX, SW, None, SN, TANH, SY, **SLID),
    "pointwise ended": by(
        "pointwise 64x64",
        ops.conv2d_batch_norm_eval,
        CX,
        CW[:, :1, :1].copy(),
        None,
        CN,
        TANH,
        CX[..., [0, 1, 2, 0, 1]],
    ),
    "band by threes": by("band pixels=8 rows=5 columns=5", ops.conv2d, CX, CW),
    "band data": by("band pixels=4 rows=4 columns=4", ops.conv2d_backward_data, CY, CW, CX.shape),
    "band weight": by("band_weight rows=8 columns=16 pieces=1", ops.conv2d_backward_weight, BX, BY, BW.shape, **BANDED),
    "band weight by threes": by("band_weight rows=2 columns=3 pieces=3", ops.conv2d_backward_weight, CX, CY, CW.shape),
    "both gradients": both_gradients,
    "pointwise": by(
        "pointwise 64x64", ops.conv2d, *numbers(15, (1, 17, 16, 12), (30, 1, 1, 12), dtype="float32"), stride=2
    ),
    "pointwise data": by(
        "pointwise 64x64",
        ops.conv2d_backward_data,
        *numbers(16, (1, 7, 11, 20), (20, 1, 1, 5), dtype="float32"),
        (1, 7, 11, 5),
    ),
    "pointwise weight": by(
        "pointwise 64x64 pieces=3",
        ops.conv2d_backward_weight,
        *numbers(17, (1, 7, 11, 9), (1, 7, 11, 20), dtype="float32"),
        (20, 1, 1, 9),
    ),
    "sliding": by("sliding height=10", ops.conv2d, SX, SW, **SLID),
    "sliding data": by("sliding height=10", ops.conv2d_backward_data, SY, SW, SX.shape, **SLID),
    "sliding weight": by("sliding height=4 pieces=2", ops.conv2d_backward_weight, SX, SY, SW.shape, **SLID),
    "max pool": max_pool,
    "mean pool": mean_pool,
    "softmax": lambda: [ops.softmax(SCORES), ops.softmax_backward(SCORES, SCORES)],
    "cross-entropy": cross_entropy,
    "cross-entropy at once": lambda: list(ops.cross_entropy_gradient(SPREAD, np.arange(300) % 5, label_smoothing=0.1)),
    "mse": lambda: [ops.mse(SCORES, LABELS), ops.mse_backward(SCORES, LABELS)],
    "binary": lambda: [ops.binary_cross_entropy(SCORES, LABELS), ops.binary_cross_entropy_backward(SCORES, LABELS)],
    "batch norm": batch_norm,
    "batch norm and all": batch_norm_and_all,
    "relu": lambda: [ops.relu_backward(X, np.maximum(X, 0), np.maximum(X, 0))],
    "ended": lambda: [ops.conv2d_batch_norm_eval(X, W, B, (B, B, B, B * B, 1e-3), TANH, DY, **WINDOW)],
    "ended by tiles": lambda: [ops.conv2d_batch_norm_eval(F, U, None, (*[G] * 3, G * G, 1e-3), TANH, DU, **FOURS)],
    "ended by tiles, briefly": lambda: [ops.conv2d_activation(F, U, None, LEAKY, **FOURS)[0]],
    "behind": lambda: [g for bias in (True, False) for g in behind(bias)],
    "gelu": lambda: [ops.gelu(X), ops.gelu_backward(X, X, X)],
    "add": lambda: [ops.add(SCORES, SCORES[::-1].copy())],
    "dropout": dropped,
    "dropout, queued": lambda: list(ops.dropout(SCORES, 0.4, Stream(3, "mutant", 2, now=np.array([5], np.int32)))),
    "copies": copied_arrays,
    "step": finished,
    "sgd": lambda: steps(sgd_update, 1, lr=0.1, momentum=0.9, decay=0.1, nesterov=True),
    "adam": lambda: steps(adam_update, 2, lr=0.1, step=3, beta1=0.9, beta2=0.99, eps=0.1, decay=0.1, decoupled=False),
    "adagrad": lambda: steps(adagrad_update, 1, lr=0.1, eps=0.1, decay=0.1),
    "store": stored,
    "loss scale": scaled,
    "widen": lambda: [widened(HF)],
    "from the device": from_the_device,
    "probe": probe,
    "probe together": probe_together,
    "mma": lambda: on_tensor_cores(ops.conv2d, HM, HN, padding=1),
    "mma data": lambda: on_tensor_cores(ops.conv2d_backward_data, DM, HN, HM.shape, padding=1),
    "mma data singly": lambda: on_tensor_cores(ops.conv2d_backward_data, DU.astype(np.float16), HU, F.shape, **FOURS),
    "mma weight": lambda: on_tensor_cores(ops.conv2d_backward_weight, HM, DM, HN.shape, padding=1),
    "mma ended": lambda: on_tensor_cores(
        ops.conv2d_batch_norm_eval, F, U, None, (*[G] * 3, G * G, 1e-3), TANH, DU, **FOURS
    ),
    "mma3": lambda: on_tensor_cores(ops.conv2d, F, U, **FOURS),
    "mma3 data": lambda: on_tensor_cores(ops.conv2d_backward_data, DU, U, F.shape, **FOURS),
    "mma3 weight": lambda: on_tensor_cores(ops.conv2d_backward_weight, F, DU, U.shape, **FOURS),
    "sum rows": lambda: [sum_rows(X)],
    "sums together": sums_together,
    "finite": nonfinite,
    "gather": gathered,
    "accuracy": lambda: [ops.count_correct(RATED, labels) for labels in (FIRST, LAST, LEFT)],
}


ROOM = {"float16": 2**-10}
"""How far apart two results may be: 1e-4, but for halves, one of which may be the next beside the other."""


@dataclass(frozen=True)
class Mutant:
    """A mistake: in this file or a header of it, `old` stands as `new`."""

    file: str
    old: str
    new: str
    run: str
    dtype: str = "float32"

    def text(self, names: list[str], number: int) -> str:
        """Return the file with the mistake, headers and all, in a namespace; of its kernels those named, numbered."""
        text = source([folder("kernels") / f"{self.file}.cu"], self.dtype)
        assert self.old in text, f"{self.file}.cu has no {self.old!r}"
        text = KERNEL.sub(lambda match: match[0] if match[1] in names else "", text.replace(self.old, self.new))
        for name in names:
            text = text.replace(f"{name}(", f"{name}_{number}(")
        return f"namespace mutant{number} {{\n{text}\n}}\nusing namespace mutant{number};\n#undef GPUCNN_{self.dtype}\n"


MUTANTS = [
    Mutant("conv2d_band", "h >= 0 && h < sight.height", "h < sight.height", "band"),
    Mutant("conv2d_band", "band[pixel * t.pitch", "band[pixel * sight.depth", "band"),
    Mutant("conv2d_band", "n0 + n < outputs ? Acc(w[", "true ? Acc(w[", "band"),
    Mutant("conv2d_band", "    if (k0 > 0) __syncthreads();\n", "", "band"),
    Mutant("conv2d_band", "    __syncthreads();\n    const Acc* own", "    const Acc* own", "band"),
    Mutant("conv2d_band", "if (first >= apart || m >= count)", "if (m >= count)", "band"),
    Mutant("conv2d_band", "min(t.rows, sight.rows - row)", "t.rows", "band"),
    Mutant("conv2d_band", "if (n + e < exist) to[n + e]", "to[n + e]", "band by threes"),
    Mutant("conv2d_band", "sight.depth % 4 == 0 && aligned<Vector<T, 4>>(image)", "true", "band by threes"),
    Mutant("conv2d_band", "g.R - 1 - tap.high", "tap.high", "band data"),
    Mutant("conv2d_band_weight", "    __syncthreads();\n    bring_band", "    bring_band", "band weight"),
    Mutant("conv2d_band_weight", "      if (m > 0) __syncthreads();\n", "", "band weight"),
    Mutant("conv2d_band_weight", "      __syncthreads();\n      if (lane", "      if (lane", "band weight"),
    Mutant("conv2d_band_weight", "parts + blockIdx.y * g.K", "parts + g.K", "band weight by threes"),
    Mutant("conv2d_band_weight", "quad + i * quads()", "quad + i", "band weight by threes"),
    Mutant(
        "conv2d_band_weight", "++i) {  // of one term of each thread\n      __syncthreads();", "++i) {", "band weight"
    ),
    Mutant("conv2d_band_backward", "    __syncthreads();\n    bring_band", "    bring_band", "both gradients"),
    Mutant("conv2d_band_backward", "    __syncthreads();\n    sums.add", "    sums.add", "both gradients"),
    Mutant("conv2d_band_backward", "parts + blockIdx.y * g.K", "parts + g.K", "both gradients"),
    Mutant("conv2d_band_backward", "sums.add(memory, x, spot)", "sums.add(memory, dx, spot)", "both gradients"),
    Mutant("conv2d_band", "T(end(Acc(to[e]), n + e, to + e - out))", "to[e]", "band ended"),
    Mutant("conv2d_depthwise_sliding", "if (q < g.Q && k < g.K) y", "y", "sliding ended"),
    Mutant("conv2d_pointwise", "T(end(Acc(y[place]), n0 + n, place))", "y[place]", "pointwise ended"),
    Mutant("conv2d_pointwise", "out.row * g.stride_h", "out.row", "pointwise"),
    Mutant("conv2d_pointwise", "m < rows ? pixel", "true ? pixel", "pointwise"),
    Mutant("conv2d_pointwise", "k < end && column + i < columns", "k < end", "pointwise data"),
    Mutant("conv2d_pointwise", "m0 + i < rows ? (m0 + i) * g.C", "true ? (m0 + i) * g.C", "pointwise data"),
    Mutant("conv2d_pointwise", "int(blockIdx.z) * g.K", "0", "pointwise weight"),
    Mutant("conv2d_pointwise", "k < end &&", "", "pointwise weight"),
    Mutant("conv2d_depthwise_sliding", "if (own.n >= g.N) return;", "", "sliding"),
    Mutant("conv2d_depthwise_sliding", "done >= own.begin && column", "column", "sliding"),
    Mutant("conv2d_depthwise_sliding", "sums[0][q][v] = 0;", "", "sliding"),
    Mutant("conv2d_depthwise_sliding", "p < low + own.end && h >= 0", "h >= 0", "sliding data"),
    Mutant("conv2d_depthwise_sliding", "(i - s + AHEAD) % STRIDE == 0", "true", "sliding data"),
    Mutant("conv2d_depthwise_sliding", "p < own.end && column", "column", "sliding weight"),
    Mutant("conv2d_depthwise_sliding", "      __syncthreads();\n      if (lane", "      if (lane", "sliding weight"),
    Mutant("conv2d_depthwise_sliding", "      __syncthreads();\n    }\n}", "    }\n}", "sliding weight"),
    Mutant("conv2d_depthwise_sliding", "(blockIdx.y * g.K + channel + v)", "(channel + v)", "sliding weight"),
    Mutant("conv2d", "if (i >= g.N * g.P * g.Q * g.K) return;", "", "conv2d"),
    Mutant("conv2d", "row < 0 || row >= g.H", "row < 0", "conv2d"),
    Mutant("conv2d", "column < 0 || column >= g.W", "column >= g.W", "conv2d"),
    Mutant("conv2d", "g.dilation_h - g.top", "g.dilation_h - g.left", "conv2d"),
    Mutant("conv2d", "g.stride_w + s * g.dilation_w", "g.stride_h + s * g.dilation_w", "conv2d"),
    Mutant("conv2d", "s * g.dilation_w - g.left", "s - g.left", "conv2d"),
    Mutant("conv2d", "first = k / (g.K / g.groups) * depth", "first = 0", "conv2d"),
    Mutant("conv2d", "b ? sum + Acc(b[k]) : sum", "sum", "conv2d"),
    Mutant("conv2d", "r += g.step_h", "++r", "conv2d data"),
    Mutant("conv2d", "if (p >= g.P) continue;", "", "conv2d data"),
    Mutant("conv2d", "&& s * g.dilation_w <= column", "", "conv2d data"),
    Mutant("conv2d", "if (q < g.Q) visit", "visit", "conv2d data"),
    Mutant("conv2d", "r < min(step, taps)", "r < 1", "conv2d data"),
    Mutant("conv2d", "k < first + outputs", "k < g.K", "conv2d data"),
    Mutant("conv2d", "parts[blockIdx.y * count + i]", "parts[i]", "conv2d weight"),
    Mutant("conv2d", "m < positions.end", "m <= positions.end", "conv2d weight"),
    Mutant("conv2d", "if (pixel >= 0) sum", "sum", "conv2d weight"),
    Mutant("conv2d_tiled", "exists(m < g.N * g.P * g.Q)", "exists(true)", "tiles"),
    Mutant("conv2d_tiled", "w < 0 || w >= g.W", "w >= g.W", "tiles"),
    Mutant("conv2d_tiled", "exists && k + i < length", "exists", "tiles"),
    Mutant("conv2d_tiled", "if (n + e < columns) out", "out", "tiles"),
    Mutant("conv2d_tiled", "first = group * outputs + n0", "first = n0", "tiles"),
    Mutant("conv2d_tiled", "depth % WIDTH == 0 && aligned<Loaded>(x)", "true", "tiles by threes"),
    Mutant("conv2d_tiled", "+ stride) % stride", "+ stride)", "tiles data"),
    Mutant("conv2d_tiled", "(kernel - tap + step - 1) / step", "(kernel - tap) / step", "tiles data"),
    Mutant("conv2d_tiled", "p < 0 || p >= g.P", "p < 0", "tiles data"),
    Mutant(
        "conv2d_tiled", "const int group = blockIdx.z % g.groups, phase", "const int group = 1, phase", "tiles data"
    ),
    Mutant("conv2d_tiled", "k < end && output + i < outputs", "output + i < outputs", "tiles weight"),
    Mutant("conv2d_tiled", "min(begin + size, count)", "count", "tiles weight"),
    Mutant("conv2d_tiled", "k += by, out.advance(by)", "k += by", "tiles weight"),
    Mutant("conv2d_tiled", "  __syncthreads();\n  for", "  for", "tiles"),
    Mutant("conv2d_tiled", "      __syncthreads();\n    }", "    }", "tiles"),
    Mutant("conv2d_tiled", "as[now ^ 1]", "as[now]", "tiles"),
    Mutant("conv2d_tiled", "if (more) {\n      a.end", "if (threadIdx.x < 128 && more) {\n      a.end", "tiles"),
    Mutant("conv2d_tiled", "strip[k + i + j][row]", "strip[k + i][row + j]", "tiles"),
    Mutant("conv2d_tiled", "ROW = SIZE + 4", "ROW = SIZE + 3", "tiles"),
    Mutant("conv2d_tiled", "ROW = SIZE + 4", "ROW = SIZE - 4", "tiles"),
    Mutant("conv2d_tiled", "k < Tile<SIDE>::DEPTH", "k <= Tile<SIDE>::DEPTH", "tiles"),
    Mutant("conv2d_tiled", "middle += low / lows", "middle += 1", "tiles by threes"),
    Mutant(
        "conv2d",
        "sum += Acc(inputs[c]) * Acc(weights[c])",
        "sum = Acc(T(sum + Acc(inputs[c]) * Acc(weights[c])))",
        "halves",
        "float16",
    ),
    Mutant(
        "conv2d_tiled",
        "sums[i][j] += left[i / 4].of[i % 4] * right[j / 4].of[j % 4]",
        "sums[i][j] = Acc(T(sums[i][j] + left[i / 4].of[i % 4] * right[j / 4].of[j % 4]))",
        "halves by tiles",
        "float16",
    ),
    Mutant("conv2d_tiled", "whole = aligned<Quad>(out + row)", "whole = true", "tiles by threes"),
    Mutant("conv2d_tiled", "whole && n + 3 < columns", "whole && n < columns", "tiles by threes"),
    Mutant("conv2d_tiled", "bias && n < columns", "bias", "tiles by threes"),
    Mutant("conv2d_tiled", "sums[i][j + e] + added[j + e]", "sums[i][j + e] + added[j]", "tiles by threes"),
    Mutant("conv2d_tiled", "if constexpr (AS_IT_IS) await_copies();", "if constexpr (AS_IT_IS);", "tiles weight"),
    Mutant("conv2d_tiled", "if (!from) *reinterpret_cast<Four*>(to) = {};", "", "tiles weight"),
    Mutant("conv2d_tiled", "else to[i] = 0;", "", "tiles weight by threes"),
    Mutant(
        "conv2d_tiled",
        "a.end(as[now ^ 1]), b.end(bs[now ^ 1]);\n      __syncthreads();",
        "__syncthreads();\n      a.end(as[now ^ 1]), b.end(bs[now ^ 1]);",
        "tiles weight",
    ),
    Mutant("cast", "rest >> 13 & 1", "0", "store", "float16"),
    Mutant("cast", "rest < 0x38800000u", "rest < 0x38000000u", "store", "float16"),
    Mutant("cast", "value[i] * factor", "value[i]", "store", "float16"),
    Mutant("cast", "stored[chunk.array]", "stored[0]", "store", "float16"),
    Mutant("cast", "i < chunk.end", "i <= chunk.end", "store", "float16"),
    Mutant("cast", "if (i < count) y", "y", "widen", "float16"),
    Mutant("probe", "return plain_float_to_float16(x);", "return plain_float_to_float16(x) + 1;", "probe"),
    Mutant("probe", "return plain_float_to_bfloat16(x);", "return __float_as_uint(x) >> 16;", "probe"),
    Mutant("probe", "await_copies();\n  __syncthreads();", "__syncthreads();", "probe"),
    Mutant("probe_mma", "await_copies_but<2>();", "await_copies_but<3>();", "probe together"),
    Mutant(
        "conv2d_mma_forward",
        "await_copies_but<Tile::STAGES - 2>",
        "await_copies_but<Tile::STAGES - 1>",
        "mma",
        "float16",
    ),
    Mutant("conv2d_mma_forward", "    __syncthreads();\n    send", "    send", "mma", "float16"),
    Mutant("conv2d_mma_forward", "from ? 16 : 0", "16", "mma", "float16"),
    Mutant("conv2d_mma_forward", "exists ? at_row : -(1 << 30)", "at_row", "mma", "float16"),
    Mutant(
        "conv2d_mma_forward",
        "    __syncwarp();\n#pragma unroll\n    for (int down",
        "    for (int down",
        "mma",
        "float16",
    ),
    Mutant("conv2d_mma_forward", "  __syncthreads();\n  float* const held", "  float* const held", "mma", "float16"),
    Mutant("conv2d_mma_backward_data", "first / 8 + (IS_A ? low : high)", "first / 8 + low", "mma data", "float16"),
    Mutant("conv2d_mma_backward_data", "+ uint32(x)) >> shift", ") >> shift", "mma data", "float16"),
    Mutant("conv2d_mma_backward_data", "whole_b = b.whole()", "whole_b = true", "mma data singly", "float16"),
    Mutant("conv2d_mma_backward_weight", "position < end && row", "row", "mma weight", "float16"),
    Mutant("conv2d_mma3_forward", "first + n, place", "n, place", "mma ended"),
    Mutant("conv2d_mma3_forward", "m < Tile::WARP_M; m +=", "m < 16; m +=", "mma ended"),
    Mutant("conv2d_mma3_forward", ", sums[i][j][r] = 0", "", "mma3"),
    Mutant("conv2d_mma3_forward", "product = 3 - Tile::PRODUCTS", "product = 1", "mma3"),
    Mutant("conv2d_mma3_backward_data", "(met - r * taps.by) * across", "met * across", "mma3 data"),
    Mutant("conv2d_mma3_backward_weight", "4 * (IS_A ? i / 2 : i % 2)", "4 * (i / 2)", "mma3 weight"),
    Mutant("conv2d_depthwise", "k / (g.K / g.C)", "k % g.C", "depthwise"),
    Mutant("conv2d_depthwise", "first = in.channel * outputs", "first = in.channel", "depthwise data"),
    Mutant("conv2d_depthwise", "tap / g.S, tap % g.S", "tap % g.S, tap % g.S", "depthwise weight"),
    Mutant("pool2d", "v > best", "v >= best", "max pool"),
    Mutant("pool2d", "if (v != v) best = v, chosen = g.R * g.S;", "", "max pool"),
    Mutant("pool2d", "== tap", "!= tap", "max pool"),
    Mutant("pool2d", "- max(start, 0)", "- start", "mean pool"),
    Mutant("pool2d", "out(position, g.P, g.Q, 1)", "out(position, g.Q, g.P, 1)", "mean pool"),
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
    Mutant("batch_norm", "before * (value - mean[i])", "before * before", "batch norm"),
    Mutant("batch_norm", "mean[i] += apart * share", "mean[i] += apart", "batch norm"),
    Mutant("batch_norm", "  __syncthreads();\n  for", "  for", "batch norm"),
    Mutant("batch_norm", "    __syncthreads();\n  }", "  }", "batch norm"),
    Mutant("batch_norm", "own.lane < active - kept", "own.lane < kept", "batch norm and all"),
    Mutant("batch_norm", "kept = (active + 1) / 2", "kept = active / 2", "batch norm and all"),
    Mutant("batch_norm", "c < C && lane < lanes", "c < C", "batch norm and all"),
    Mutant("batch_norm", "j < pieces", "j < pieces - 1", "batch norm"),
    Mutant("batch_norm", "min(size, rows - j * size)", "size", "batch norm"),
    Mutant("batch_norm", "own.c < C && j", "j", "batch norm"),
    Mutant("batch_norm", "z ? v + Acc(added.of[i]) : v", "v", "batch norm and all"),
    Mutant("batch_norm", "const Acc v = given ? y :", "const Acc v =", "batch norm and all"),
    Mutant("batch_norm", "rows - 1)", "rows)", "batch norm and all"),
    Mutant("batch_norm", "(1 - momentum) * running_mean[c]", "running_mean[c]", "batch norm and all"),
    Mutant("add", "Acc(left[i]) + Acc(right[i])", "Acc(left[i])", "add"),
    Mutant("conv2d", "if (scale) sum = fma(sum, scale[k], shift[k]);", "", "ended"),
    Mutant("conv2d", "sum += Acc(z[place])", "sum += Acc(z[k])", "ended"),
    Mutant("conv2d_tiled", "if (end.whole()) return;", "", "ended by tiles, briefly"),
    Mutant("conv2d_tiled", "if (n < columns) visit", "visit", "ended by tiles"),
    Mutant("conv2d_tiled", "first + n, place", "n, place", "ended by tiles"),
    Mutant("conv2d_tiled", "return whole() ? briefly", "return true ? briefly", "ended by tiles"),
    Mutant("batch_norm", "fma(-mean[c], scale[c], beta[c])", "beta[c]", "ended"),
    Mutant("bias_activation", "sum.value[i] += behind", "sum.value[i] += Acc(given.of[i])", "behind"),
    Mutant("bias_activation", "!parts || own.lane", "own.lane", "behind"),
    Mutant("sums", "own[1] + threadIdx.x", "threadIdx.x", "sums together"),
    Mutant("sums", "if (i < count) sums", "sums", "sums together"),
    Mutant("sums", "in_order(parts[own[0]]", "in_order(parts[0]", "sums together"),
    Mutant("sums", "lane < LANES", "lane <= LANES", "sum rows"),
    Mutant("activation", "normal_cdf(v) + v", "normal_cdf(v) - v", "gelu"),
    Mutant("add", "if (i < count) y", "y", "add"),
    Mutant("activation", "return Acc(y) > 0;", "return Acc(y) >= 0;", "relu"),
    Mutant("dropout", "i < 0 || i >= count", "i < 0", "dropout"),
    Mutant("dropout", "drawn.word[j]", "drawn.word[3 - j]", "dropout"),
    Mutant("dropout", "(kept[i] ? scale : Acc(0)));\n  }", "Acc(kept[i]));\n  }", "dropout"),
    Mutant("dropout", "if (i < count) dx", "dx", "dropout"),
    Mutant("loss_scale", "element() > 0 || ", "", "loss scale"),
    Mutant("loss_scale", " || (stopped && *stopped)", "", "loss scale"),
    Mutant("loss_scale", "*scale *= 0.5f, ", "", "loss scale"),
    Mutant("loss_scale", "counts[0] = 0, counts[1] += 1", "counts[1] += 1", "loss scale"),
    Mutant("loss_scale", "counts[0] + 1 < growth", "counts[0] < growth", "loss scale"),
    Mutant("loss_scale", "*scale *= 2.0f, counts[0] = 0", "*scale *= 2.0f", "loss scale"),
    Mutant("dropout", "now ? uint32(*now) : step", "step", "dropout, queued"),
    Mutant("gather", "count / (H * W * C)", "count / H", "gather"),
    Mutant("gather", "+ n, index", ", index", "gather"),
    Mutant("copy", "where && !*where", "where && *where", "copies"),
    Mutant("copy", "i < chunk.end", "i < chunk.end - 1", "copies"),
    Mutant("copy", "to[chunk.array]", "to[0]", "copies"),
    Mutant("step", "if (element() != 0) return;", "", "step"),
    Mutant("step", "counters[SKIP] = 1", "return", "step"),
    Mutant("step", "if (counters[SKIP]) return;", "", "step"),
    Mutant("step", "page[row * width + i]", "page[row + i]", "step"),
    Mutant("step", "row + 1 < rows ? row + 1 : 0", "row + 1", "step"),
    Mutant("step", "++counters[STEP_NUMBER], ++counters[BATCH]", "++counters[STEP_NUMBER]", "step"),
    Mutant("update", "g + momentum * v", "g + v", "sgd"),
    Mutant("update", "sqrt(s) / root + eps", "sqrt(s + eps) / root", "adam"),
    Mutant("update", "chunk.flag ? decay", "true ? decay", "sgd"),
    Mutant("update", "chunk.flag ? decay", "true ? decay", "adam"),
    Mutant("update", "i = chunk.begin + threadIdx.x", "i = threadIdx.x", "sgd"),
    Mutant("update", "i < chunk.end", "i <= chunk.end", "sgd"),
    Mutant("update", "i += THREADS", "i += THREADS - 1", "adam"),
    Mutant("update", "chunks + 4 * blockIdx.x", "chunks", "sgd"),
    Mutant("update", "squares[chunk.array]", "squares[0]", "adam"),
    Mutant("update", "Acc(square[i]) + g * g", "Acc(square[i])", "adagrad"),
    Mutant("update", "length * g / (sqrt(s) + eps)", "length * g / sqrt(s + eps)", "adagrad"),
    Mutant("update", "numbers ? *numbers : lr", "lr", "from the device"),
    Mutant("update", "root = numbers[1]", "root = numbers[2]", "from the device"),
    Mutant("update", "skip && *skip", "false", "from the device"),
    Mutant("update", "Acc(1) / Acc(*scale)", "Acc(*scale)", "from the device"),
    Mutant("sums", "row < own.end", "row + 1 < own.end", "sum rows"),
    Mutant("sums", "c < columns ? part.end : 0", "part.end", "sum rows"),
    Mutant("sums", "lane == 0 && c < columns", "c < columns", "sum rows"),
    Mutant("sums", "parts[j * count + i]", "parts[j * count]", "sum rows"),
    Mutant("accuracy", "n < rows ? labels[n] : -1", "labels[n]", "accuracy"),
    Mutant("accuracy", "x == y && k < l", "x == y && k > l", "accuracy"),
    Mutant("accuracy", "scores + n * columns", "scores", "accuracy"),
    Mutant("accuracy", "k < columns", "k < columns - 8", "accuracy"),
    Mutant("accuracy", "warp_max(right ? Acc(0) : Acc(1)) == 0", "right", "accuracy"),
    Mutant("accuracy", "right && lane() == 0", "right", "accuracy"),
    Mutant("accuracy", "atomicAdd(total, found)", "*total += found", "accuracy"),
    Mutant("accuracy", "threadIdx.x == 0 && found", "found", "accuracy"),
    Mutant("gather", "if (e >= count) return;", "", "gather"),
    Mutant("gather", "if (row == 0 && column == 0 && channel == 0) own_labels", "own_labels", "gather"),
    Mutant("gather", "own_labels[n] = labels[index]", "own_labels[n] = labels[n]", "gather"),
    Mutant("gather", "row < f.to_row", "row <= f.to_row", "gather"),
    Mutant("gather", "2 * (size - 1) - at", "2 * size - 1 - at", "gather"),
    Mutant("gather", "W - 1 - column", "column", "gather"),
    Mutant("gather", "(row != i || column != j)", "row != i", "gather"),
    Mutant("gather", "k >= 0 && !covered", "k >= 0", "gather"),
    Mutant(
        "gather", "int k = changes - 1; k >= 0 && !covered; --k", "int k = 0; k < changes && !covered; ++k", "gather"
    ),
    Mutant("gather", "[place * changes + k]", "[k]", "gather"),
    Mutant("gather", "shift ? scaled + shift[channel]", "false ? scaled", "gather"),
    Mutant("finite", "atomicAdd(total, found)", "*total += found", "finite"),
    Mutant("finite", "i < chunk.end", "i <= chunk.end", "finite"),
    Mutant("finite", "arrays[chunk.array]", "arrays[0]", "finite"),
    Mutant("finite", "!(v - v == 0)", "v != v", "finite"),
]


@contextmanager
def computed_by(compiler: Callable[[Any, str], Any]) -> Iterator[None]:
    """While entered, operations on NumPy arrays are computed by the kernels that `compiler` returns; sums in parts."""
    with pytest.MonkeyPatch.context() as patch, dispatch.using("fast"):
        patch.setitem(dispatch.ROOMS, "numpy", "gpucnn.cuda")
        patch.setattr(sums, "TERMS", 20)
        plans.candidates.cache_clear()
        patch.setitem(launch.compilers, "numpy", compiler)
        yield


@pytest.fixture(scope="module")
def launched(modules: dict[str, Module]) -> dict[str, list[str]]:
    """The kernels that each run launches."""
    found: dict[str, list[str]] = {}
    for name, run in RUNS.items():
        names: dict[str, None] = {}

        def noted(kernel: Any, dtype: str, names: dict[str, None] = names) -> Any:
            names[kernel.name] = None
            return modules[dtype].get_function(kernel.name)

        with computed_by(noted):
            run()
        found[name] = list(names)
    return found


@pytest.fixture(scope="module")
def mutated(builds: Path, launched: dict[str, list[str]]) -> dict[Mutant, dict[str, Any]]:
    """The kernels of each mutant's file that its run launches, by name."""
    files = {name: kernel.file.stem for name, kernel in kernels().items()}
    names = {mutant: [name for name in launched[mutant.run] if files[name] == mutant.file] for mutant in MUTANTS}

    def compiled(some: list[Mutant]) -> dict[Mutant, dict[str, Any]]:
        text = "".join(mutant.text(names[mutant], number) for number, mutant in enumerate(some))
        numbered = [f"{name}_{number}" for number, mutant in enumerate(some) for name in names[mutant]]
        module = Module(text, numbered, builds)
        return {
            mutant: {name: module.get_function(f"{name}_{number}") for name in names[mutant]}
            for number, mutant in enumerate(some)
        }

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(compiled, (MUTANTS[::2], MUTANTS[1::2]))
    return first | second


def complaint(modules: dict[str, Module], name: str, replaced: dict[str, Any]) -> str | None:
    """Return what is wrong with a run with some kernels replaced; None where nothing is.

    It runs with arrays that end at a page that cannot be touched, and then with arrays that start at one.
    """
    expected = reference(RUNS[name])
    for schedule in (Schedule(), Schedule(at_start=True)):

        def compiler(kernel: Any, dtype: str, schedule: Schedule = schedule) -> Any:
            found = replaced.get(kernel.name) or modules[dtype].get_function(kernel.name)
            return partial(found, schedule=schedule)

        try:
            with computed_by(compiler):
                actual = RUNS[name]()
        except KernelError as error:
            return str(error)
        pairs = zip(actual, expected, strict=True)
        if not all(
            np.allclose(*pair, rtol=ROOM.get(pair[0].dtype.name, 1e-4), atol=1e-4, equal_nan=True) for pair in pairs
        ):
            return "wrong result"
    return None


@pytest.mark.parametrize("name", RUNS)
def test_what_catches_the_mutants_finds_no_fault_with_the_kernels(modules, name):
    assert complaint(modules, name, {}) is None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.file}: {m.old[:30]} -> {m.new[:20].strip()}")
def test_every_mutant_is_caught(modules, mutated, mutant):
    assert mutated[mutant], f"{mutant.run} launches no kernel of {mutant.file}.cu"
    assert complaint(modules, mutant.run, mutated[mutant]) is not None, "nothing was wrong with it"


@pytest.mark.parametrize(
    ("old", "told"),
    [
        ("if (i >= g.N * g.P * g.Q * g.K) return;", "outside argument"),
        ("atomicAdd(total, found)", "race on argument 2 at byte 0: written by another block"),
        ("if (lane() == 0) losses", "race on argument"),
        ("(warp_row() >= rows)", "deadlock"),
        ("  __syncthreads();\n  for", r"of shared memory.* at tile.cuh:\d+"),
        ("      __syncthreads();\n    }", r"of shared memory.* at tile.cuh:\d+"),
    ],
)
def test_what_is_wrong_is_told(modules, mutated, old, told):
    mutant = next(mutant for mutant in MUTANTS if mutant.old == old)
    assert re.search(told, complaint(modules, mutant.run, mutated[mutant]) or "")


def test_there_are_mutants_of_every_file():
    assert {mutant.file for mutant in MUTANTS} == {kernel.file.stem for kernel in kernels().values()}
