"""Convolutions of one tap, as matrix products."""

from __future__ import annotations

from checks.arrays import numbers

from gpucnn import ops
from mutants.arrays import CN, CW, CX, GAPS, TANH
from mutants.mutant import Mutant, Run, by

RUNS: dict[str, Run] = {
    "pointwise": by(
        "pointwise 64x64", ops.conv2d, *numbers(15, (1, 17, 16, 12), (30, 1, 1, 12), dtype="float32"), stride=2
    ),
    "pointwise data": by(
        "pointwise 64x64",
        ops.conv2d_backward_data,
        *numbers(16, (1, 7, 11, 20), (20, 1, 1, 5), dtype="float32"),
        (1, 7, 11, 5),
    ),
    "pointwise data with gaps": by("pointwise 64x64", ops.conv2d_backward_data, *GAPS, stride=2),
    "pointwise weight": by(
        "pointwise 64x64 pieces=3",
        ops.conv2d_backward_weight,
        *numbers(17, (1, 7, 11, 9), (1, 7, 11, 20), dtype="float32"),
        (20, 1, 1, 9),
    ),
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
}

MUTANTS = [
    Mutant("conv2d_pointwise", "T(end(Acc(y[place]), n0 + n, place))", "y[place]", "pointwise ended"),
    Mutant("conv2d_pointwise", "out.row * g.stride_h", "out.row", "pointwise"),
    Mutant("conv2d_pointwise", "m < rows ? pixel", "true ? pixel", "pointwise"),
    Mutant("conv2d_pointwise", "k < end && column + i < columns", "k < end", "pointwise data"),
    Mutant("conv2d_pointwise", "m0 + i < rows ? pixel", "true ? pixel", "pointwise data"),
    Mutant("conv2d_pointwise", "z ? g.C - n : 0", "0", "pointwise data with gaps"),
    Mutant("conv2d_pointwise", "int(blockIdx.z) * g.K", "0", "pointwise weight"),
    Mutant("conv2d_pointwise", "k < end &&", "", "pointwise weight"),
]
