"""Convolutions of few channels, from a band of the image in shared memory."""

from __future__ import annotations

from typing import Any

from checks.arrays import numbers

from gpucnn import ops
from gpucnn.cuda import plans
from mutants.arrays import CN, CW, CX, CY, TANH
from mutants.mutant import Mutant, Run, by, on_kernels

BANDED: dict[str, Any] = {"stride": (2, 1), "padding": ((1, 2), (0, 1)), "dilation": (1, 2)}
BX, BW = numbers(11, (2, 15, 17, 16), (20, 3, 2, 16), dtype="float32")
BY = numbers(12, ops.conv2d_output_shape(BX.shape, BW.shape, **BANDED), dtype="float32")[0]
GX, GW, GY = numbers(18, (2, 9, 7, 12), (16, 3, 3, 12), (2, 9, 7, 16), dtype="float32")


def both_gradients() -> list[Any]:
    """Of two images, each of several tiles, in two pieces."""
    if not on_kernels():
        return [
            ops.conv2d_backward_data(GY, GW, GX.shape, GX, padding=1),
            ops.conv2d_backward_weight(GX, GY, GW.shape, padding=1),
        ]
    with plans.using(lambda task: plans.Plan.read("band_backward rows=5 columns=7 pieces=2")):
        return list(ops.conv2d_gradients(GX, GY, GW, GX, padding=1))


RUNS: dict[str, Run] = {
    "band": by("band pixels=4 rows=3 columns=5", ops.conv2d, BX, BW, **BANDED),
    "band ended": by("band pixels=4 rows=3 columns=5", ops.conv2d_batch_norm_eval, CX, CW, None, CN, TANH, CY),
    "band by threes": by("band pixels=8 rows=5 columns=5", ops.conv2d, CX, CW),
    "band data": by("band pixels=4 rows=4 columns=4", ops.conv2d_backward_data, CY, CW, CX.shape, CX),
    "band data strided": by("band pixels=4 rows=3 columns=7", ops.conv2d_backward_data, BY, BW, BX.shape, **BANDED),
    "band weight": by("band_weight rows=8 columns=16 pieces=1", ops.conv2d_backward_weight, BX, BY, BW.shape, **BANDED),
    "band weight by threes": by("band_weight rows=2 columns=3 pieces=3", ops.conv2d_backward_weight, CX, CY, CW.shape),
    "both gradients": both_gradients,
}

MUTANTS = [
    Mutant("conv2d_band", "h >= 0 && h < sight.height", "h < sight.height", "band"),
    Mutant("conv2d_band", "band[pixel * t.pitch", "band[pixel * sight.depth", "band"),
    Mutant("conv2d_band", "n0 + n < outputs ? Acc(w[", "true ? Acc(w[", "band"),
    Mutant("conv2d_band", "    if (k0 > 0) __syncthreads();\n", "", "band"),
    Mutant("conv2d_band", "    __syncthreads();\n    const Acc* own", "    const Acc* own", "band"),
    Mutant("conv2d_band", "if (first >= apart || m >= count)", "if (m >= count)", "band"),
    Mutant("conv2d_band", "min(t.rows, sight.rows - row)", "t.rows", "band"),
    Mutant("conv2d_band", "if (i < exist) to[i]", "to[i]", "band by threes"),
    Mutant("conv2d_band", "exist >= N && aligned<Vector<Element, N>>(to)", "exist >= N", "band by threes"),
    Mutant("conv2d_band", "exist >= N && aligned<Vector<Element, N>>(to)", "exist >= 0", "band by threes"),
    Mutant("conv2d_band", "sight.depth % 4 == 0 && aligned<Vector<T, 4>>(image)", "true", "band by threes"),
    Mutant("conv2d_band", "g.R - 1 - tap.high", "tap.high", "band data"),
    Mutant("conv2d_band", "if (i < exist) found.of[i]", "found.of[i]", "band data"),
    Mutant("conv2d_band", "z ? z + (to - out) : z", "z", "band data"),
    Mutant("conv2d_band", "tap.high * whole.step_h", "tap.high", "band data strided"),
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
    Mutant("conv2d_band_backward", "NoMoments{},\n                     z", "NoMoments{}", "both gradients"),
    Mutant("conv2d_band_backward", "parts + blockIdx.y * g.K", "parts + g.K", "both gradients"),
    Mutant("conv2d_band_backward", "sums.add(memory, x, spot)", "sums.add(memory, dx, spot)", "both gradients"),
    Mutant("conv2d_band", "T(end(Acc(to[e]), n + e, to + e - out))", "to[e]", "band ended"),
]
