"""Convolutions by tiles, as matrix products in shared memory."""

from __future__ import annotations

from checks.arrays import numbers

from gpucnn import ops
from mutants.arrays import DU, FOURS, GAPS, HF, HU, LEAKY, TANH, F, G, U
from mutants.mutant import Mutant, Run, by

RUNS: dict[str, Run] = {
    "tiles": lambda: [ops.conv2d(F, U, **FOURS)],
    "tiles by threes": lambda: [
        ops.conv2d(*numbers(8, (1, 5, 4, 3), (17, 2, 3, 3), (17,), dtype="float32"), padding=1)
    ],
    "tiles data": lambda: [ops.conv2d_backward_data(DU, U, F.shape, F, **FOURS)],
    "tiles data with gaps": by("tiled 64x64", ops.conv2d_backward_data, *GAPS, stride=2),
    "tiles weight": lambda: [ops.conv2d_backward_weight(F, DU, U.shape, **FOURS)],
    "tiles weight by threes": lambda: [
        ops.conv2d_backward_weight(
            *numbers(9, (1, 6, 5, 3), (1, 5, 5, 17), dtype="float32"), (17, 2, 3, 3), padding=((0, 0), (1, 1))
        )
    ],
    "halves by tiles": lambda: [ops.conv2d(HF, HU, **FOURS)],
    "ended by tiles": lambda: [ops.conv2d_batch_norm_eval(F, U, None, (*[G] * 3, G * G, 1e-3), TANH, DU, **FOURS)],
    "ended by tiles, briefly": lambda: [ops.conv2d_activation(F, U, None, LEAKY, **FOURS)[0]],
}

MUTANTS = [
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
        "conv2d_tiled",
        "sums[i][j] += left[i / 4].of[i % 4] * right[j / 4].of[j % 4]",
        "sums[i][j] = Acc(T(sums[i][j] + left[i / 4].of[i % 4] * right[j / 4].of[j % 4]))",
        "halves by tiles",
        "float16",
    ),
    Mutant("conv2d_tiled", "whole = aligned<Quad>(out + row)", "whole = true", "tiles by threes"),
    Mutant("conv2d_tiled", "whole && n + 3 < columns", "whole && n < columns", "tiles by threes"),
    Mutant("conv2d_tiled", "z ? z[row + n] : T(0)", "T(0)", "tiles data with gaps"),
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
    Mutant("conv2d_tiled", "if (end.whole()) return;", "", "ended by tiles, briefly"),
    Mutant("conv2d_tiled", "if (n < columns) visit", "visit", "ended by tiles"),
    Mutant("conv2d_tiled", "first + n, place", "n, place", "ended by tiles"),
    Mutant("conv2d_tiled", "return whole() ? briefly", "return true ? briefly", "ended by tiles"),
]
