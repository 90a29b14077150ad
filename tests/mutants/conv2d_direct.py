"""Convolutions summed term by term: what any shape falls back to, and depthwise."""

from __future__ import annotations

from typing import Any

from checks.arrays import numbers

from gpucnn import ops
from mutants.arrays import HF, HU, TANH, B, W, X
from mutants.mutant import Mutant, Run

WINDOW: dict[str, Any] = {"stride": (2, 3), "padding": ((2, 1), (1, 1)), "dilation": (1, 2), "groups": 2}
DY = numbers(2, ops.conv2d_output_shape(X.shape, W.shape, **WINDOW), dtype="float32")[0]
LEFT_OVER = WINDOW | {"padding": ((2, 0), (1, 1))}  # the last window ends before the last row
DL = numbers(2, ops.conv2d_output_shape(X.shape, W.shape, **LEFT_OVER), dtype="float32")[0]
DEPTHWISE: dict[str, Any] = {"stride": 2, "padding": 1, "groups": 4}
V = numbers(3, (8, 3, 3, 1), dtype="float32")[0]
DV = numbers(4, ops.conv2d_output_shape(X.shape, V.shape, **DEPTHWISE), dtype="float32")[0]

RUNS: dict[str, Run] = {
    "conv2d": lambda: [ops.conv2d(X, W, B, **WINDOW)],
    "conv2d data": lambda: [ops.conv2d_backward_data(DL, W, X.shape, X, **LEFT_OVER)],
    "conv2d weight": lambda: [ops.conv2d_backward_weight(X, DY, W.shape, **WINDOW)],
    "halves": lambda: [ops.conv2d(HF[:1, :3, :4, 20:], HU[:3], padding=1)],
    "depthwise": lambda: [ops.conv2d(X, V, **DEPTHWISE)],
    "depthwise data": lambda: [ops.conv2d_backward_data(DV, V, X.shape, X, **DEPTHWISE)],
    "depthwise weight": lambda: [ops.conv2d_backward_weight(X, DV, V.shape, **DEPTHWISE)],
    "ended": lambda: [ops.conv2d_batch_norm_eval(X, W, B, (B, B, B, B * B, 1e-3), TANH, DY, **WINDOW)],
}

MUTANTS = [
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
    Mutant("conv2d", "Acc(z[i])", "Acc(z[c])", "conv2d data"),
    Mutant("conv2d", "parts[blockIdx.y * count + i]", "parts[i]", "conv2d weight"),
    Mutant("conv2d", "m < positions.end", "m <= positions.end", "conv2d weight"),
    Mutant("conv2d", "if (pixel >= 0) sum", "sum", "conv2d weight"),
    Mutant(
        "conv2d",
        "sum += Acc(inputs[c]) * Acc(weights[c])",
        "sum = Acc(T(sum + Acc(inputs[c]) * Acc(weights[c])))",
        "halves",
        "float16",
    ),
    Mutant("conv2d_depthwise", "k / (g.K / g.C)", "k % g.C", "depthwise"),
    Mutant("conv2d_depthwise", "first = in.channel * outputs", "first = in.channel", "depthwise data"),
    Mutant("conv2d_depthwise", "z ? sum + Acc(z[i]) : sum", "sum", "depthwise data"),
    Mutant("conv2d_depthwise", "tap / g.S, tap % g.S", "tap % g.S, tap % g.S", "depthwise weight"),
    Mutant("conv2d", "if (scale) sum = fma(sum, scale[k], shift[k]);", "", "ended"),
    Mutant("conv2d", "sum += Acc(z[place])", "sum += Acc(z[k])", "ended"),
]
