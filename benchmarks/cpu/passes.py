"""Single passes of convolutions at stride 1 with as many outputs as inputs, ours and PyTorch's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Any

import numpy as np
import typer

from benchmarks.cpu.turns import COMPARED, Part, Settings, Times, compared, measure, ratios
from benchmarks.processes import Failed
from gpucnn import ops
from gpucnn.backend import Array

METHODS = {"forward": "forward", "backward data": "backward_data", "backward weight": "backward_weight"}
GOAL = 1.1
"""The geometric mean of all ratios."""
TOLERANCE = 1e-4
"""Largest difference relative to the largest element: float32 sums of up to 65,536 products, and Winograd's."""


@dataclass(frozen=True)
class Case:
    """N images of size x size with C channels, K kernels of R x R."""

    n: int
    size: int
    c: int
    k: int
    r: int

    def __str__(self) -> str:
        return f"{self.c} -> {self.k}, {self.r}x{self.r} @{self.size}, N {self.n}"

    def arrays(self) -> tuple[Array, Array, Array]:
        """Return x, w and dy: normal numbers."""
        rng = np.random.default_rng(0)
        image = self.n, self.size, self.size
        shapes = (*image, self.c), (self.k, self.r, self.r, self.c), (*image, self.k)
        x, w, dy = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
        return x, w, dy


CASES = {
    "A": Case(64, 32, 64, 64, 3),
    "B": Case(64, 32, 16, 16, 3),
    "C": Case(16, 16, 128, 128, 3),
    "D": Case(64, 32, 3, 32, 3),
    "E": Case(32, 14, 32, 64, 5),
}


class Ours:
    """gpucnn's passes."""

    def __init__(self, case: Case) -> None:
        (self.x, self.w, self.dy), self.padding = case.arrays(), case.r // 2

    def forward(self) -> Array:
        """Return y."""
        return ops.conv2d(self.x, self.w, padding=self.padding)

    def backward_data(self) -> Array:
        """Return dx."""
        return ops.conv2d_backward_data(self.dy, self.w, self.x.shape, padding=self.padding)

    def backward_weight(self) -> Array:
        """Return dw."""
        return ops.conv2d_backward_weight(self.x, self.dy, self.w.shape, padding=self.padding)


class Torch:
    """PyTorch's passes, eager, in one of its layouts; what they return has our order of dimensions."""

    def __init__(self, case: Case, *, channels_last: bool) -> None:
        import torch

        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._x, self._w, self._dy = (self._placed(torch.from_numpy(array)) for array in case.arrays())
        self._padding, self._conv2d = [case.r // 2] * 2, torch.nn.functional.conv2d
        self._backward = torch.ops.aten.convolution_backward

    def forward(self) -> Any:
        """Return y."""
        return self._conv2d(self._x, self._w, padding=self._padding).permute(0, 2, 3, 1)

    def backward_data(self) -> Any:
        """Return dx."""
        return self._gradients(wanted=0).permute(0, 2, 3, 1)

    def backward_weight(self) -> Any:
        """Return dw."""
        return self._gradients(wanted=1).permute(0, 2, 3, 1)

    def _gradients(self, wanted: int) -> Any:
        mask = [place == wanted for place in range(3)]
        where = [1, 1], self._padding, [1, 1], False, [0, 0], 1
        return self._backward(self._dy, self._x, self._w, None, *where, mask)[wanted]

    def _placed(self, tensor: Any) -> Any:
        return tensor.permute(0, 3, 1, 2).contiguous(memory_format=self._layout)


def contender(case: Case, name: str) -> Ours | Torch:
    """Return a contender; raises Failed where PyTorch computes other numbers than we do."""
    ours = Ours(case)
    if name == "gpucnn":
        return ours
    theirs = Torch(case, channels_last=name.endswith("channels_last"))
    for label, method in METHODS.items():
        expected, found = getattr(ours, method)(), getattr(theirs, method)().numpy()
        error = float(np.abs(found - expected).max() / np.abs(expected).max())
        if not error <= TOLERANCE:
            raise Failed(f"{label} of {case}: {name} differs from gpucnn by {error:.2g}")
    return theirs


def passes(settings: Settings) -> Part:
    """Measure all cases."""
    measured, rows = {}, []
    for name, case in CASES.items():
        typer.echo(f"{name}: {case}", err=True)
        measured[name] = measure(name, METHODS, settings)
        rows += [[name, str(case), label, *compared(times, None)] for label, times in measured[name].items()]
    mean = overall(measured)
    figures = ["-", "-", "-" if mean is None else f"{mean:.2f}", "-", f"{GOAL}", "-"]
    rows.append(["all", "", "geometric mean", *figures])
    return Part({"geometric_mean": mean, "cases": measured}, ["case", "convolution", "pass", *COMPARED], rows)


def overall(measured: Mapping[str, Mapping[str, Times]]) -> float | None:
    """Return the geometric mean of the medians of all ratios; None without peers."""
    medians = [median(ratios(times)) for found in measured.values() for times in found.values() if ratios(times)]
    return geometric_mean(medians) if medians else None
