"""Single passes of convolutions, ours beside PyTorch's with cuDNN: the same arrays, taking turns, in one process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.ceilings import WHERE, ceilings, use_tf32
from benchmarks.gpu.clock import Clock, Way
from gpucnn import ops
from gpucnn.backend import Device
from gpucnn.dispatch import Impl, using
from gpucnn.training.rounding import limit

PASSES = ("forward", "backward data", "backward weight")
OURS, STRICT, TF32 = "gpucnn", "PyTorch", "PyTorch TF32"
IMPL: Impl = "fast"
MOST_BYTES = 2**32
"""Of all arrays of a shape: there are several sets of them, so that they do not stay in the cache."""


@dataclass(frozen=True)
class Shape:
    """Images N x H x W x C, K kernels of R x R, as many of them see a channel as groups leave."""

    name: str
    n: int
    size: int
    c: int
    k: int
    r: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def output(self) -> int:
        """Height and width of the output."""
        return (self.size + 2 * self.padding - self.r) // self.stride + 1

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Those of x, w and y (NHWC, KRSC)."""
        x, y = (self.n, self.size, self.size, self.c), (self.n, self.output, self.output, self.k)
        return x, (self.k, self.r, self.r, self.c // self.groups), y

    @property
    def operations(self) -> int:
        """Multiplications and additions of a pass, which every pass has as many of."""
        _, w, y = self.shapes
        return 2 * math.prod(y) * math.prod(w[1:])

    @property
    def bytes(self) -> int:
        """What a pass moves at least: two of x, w and y are read, the third is written."""
        return 4 * sum(map(math.prod, self.shapes))

    def terms(self, name: str) -> int:
        """Of how many products an element is a sum."""
        k, r, s, depth = self.shapes[1]
        return {PASSES[0]: r * s * depth, PASSES[1]: r * s * k // self.groups}.get(name, self.n * self.output**2)


SUITE = [
    Shape("LeNet 1", 128, 28, 1, 32, 5, padding=2),
    Shape("LeNet 2", 128, 14, 32, 64, 5, padding=2),
    Shape("ResNet-20 1", 128, 32, 16, 16, 3, padding=1),
    Shape("ResNet-20 2", 128, 16, 32, 32, 3, padding=1),
    Shape("ResNet-20 3", 128, 8, 64, 64, 3, padding=1),
    Shape("ResNet-20 stride", 128, 32, 16, 32, 3, stride=2, padding=1),
    Shape("ResNet-50 7x7", 32, 224, 3, 64, 7, stride=2, padding=3),
    Shape("ResNet-50 56", 32, 56, 64, 64, 3, padding=1),
    Shape("ResNet-50 28", 32, 28, 128, 128, 3, padding=1),
    Shape("ResNet-50 14", 32, 14, 256, 256, 3, padding=1),
    Shape("ResNet-50 7", 32, 7, 512, 512, 3, padding=1),
    Shape("ResNet-50 1x1 up", 32, 56, 64, 256, 1),
    Shape("ResNet-50 1x1 down", 32, 28, 512, 128, 1),
    Shape("ResNet-50 stride", 32, 56, 128, 128, 3, stride=2, padding=1),
    Shape("ResNeXt 32 groups", 32, 28, 256, 256, 3, padding=1, groups=32),
    Shape("depthwise 112", 32, 112, 32, 32, 3, padding=1, groups=32),
    Shape("depthwise 56 stride", 32, 56, 128, 128, 3, stride=2, padding=1, groups=128),
    Shape("depthwise 14", 32, 14, 512, 512, 3, padding=1, groups=512),
]


class Arrays:
    """x, w and dy of a shape, on the device, as PyTorch's channels_last tensors and, the same memory, as CuPy's."""

    def __init__(self, shape: Shape, device: Device, seed: int) -> None:
        generator = torch.Generator(WHERE).manual_seed(seed)
        bases = [torch.randn(each, device=WHERE, generator=generator) for each in shape.shapes]
        self.x, self.w, self.dy = (device.xp.asarray(base) for base in bases)
        self.tensors = [base.permute(0, 3, 1, 2) for base in bases]


def measure(device: Device, *, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield all that is known, more of it each time: the ceilings, then the passes of one shape after the other."""
    torch.backends.cudnn.benchmark = True
    clock = Clock(device)
    best = ceilings(torch, clock)
    rows: list[dict[str, Any]] = []
    yield {"ceilings": best, "passes": rows}
    for shape in SUITE:
        for name in PASSES:
            try:
                rows.append(_pass(shape, name, device, clock, best, rounds, seconds))
            except Exception as error:
                rows.append({"shape": shape.name, "pass": name, "error": f"{type(error).__name__}: {error}"[:500]})
            yield {"ceilings": best, "passes": rows}


def _pass(
    shape: Shape, name: str, device: Device, clock: Clock, best: dict[str, float], rounds: int, seconds: float
) -> dict[str, Any]:
    count = max(1, min(16, -(-3 * clock.cache_bytes // shape.bytes), MOST_BYTES // shape.bytes))
    sets = [Arrays(shape, device, seed) for seed in range(count)]
    ours, theirs = _ours(shape, name), _theirs(shape, name)

    def run_ours(i: int) -> Any:
        with using(IMPL):
            return ours(sets[i % count])

    ways = {
        OURS: Way(run_ours),
        STRICT: Way(lambda i: theirs(sets[i % count].tensors), lambda: use_tf32(torch, False)),
        TF32: Way(lambda i: theirs(sets[i % count].tensors), lambda: use_tf32(torch, True)),
    }
    errors = _errors(ways, theirs, sets[0])
    times = clock.interleaved(ways, rounds=rounds, seconds=seconds)
    floors = {who: _floor(shape, best, "tf32" if who == TF32 else "float32") for who in ways}
    return {
        "shape": shape.name,
        "pass": name,
        "sizes": {key: value for key, value in asdict(shape).items() if key != "name"},
        "sets": count,
        "errors": errors,
        "right": (errors[OURS] or 0.0) <= limit(np.float32, shape.terms(name)) and errors[OURS] is not None,
        "roofline": {who: floors[who] / median(found["queued"]) for who, found in times.items()},
        "ratio": median(times[STRICT]["queued"]) / median(times[OURS]["queued"]),
        "seconds": times,
    }


def _floor(shape: Shape, best: dict[str, float], precision: str) -> float:
    """Return the least seconds that a pass can take: its operations' or its bytes', whichever is more."""
    return max(shape.operations / best[f"{precision}_per_second"], shape.bytes / best["bytes_per_second"])


def _ours(shape: Shape, name: str) -> Callable[[Arrays], Any]:
    options: dict[str, Any] = {"stride": shape.stride, "padding": shape.padding, "groups": shape.groups}
    x_shape, w_shape, _ = shape.shapes
    return {
        PASSES[0]: lambda a: ops.conv2d(a.x, a.w, **options),
        PASSES[1]: lambda a: ops.conv2d_backward_data(a.dy, a.w, x_shape, **options),
        PASSES[2]: lambda a: ops.conv2d_backward_weight(a.x, a.dy, w_shape, **options),
    }[name]


def _theirs(shape: Shape, name: str) -> Callable[[list[Any]], Any]:
    """Return the pass over tensors x, w, dy; the backward ones as PyTorch's own autograd calls them."""
    where = [shape.stride] * 2, [shape.padding] * 2, [1, 1]
    if name == PASSES[0]:
        return lambda a: torch.nn.functional.conv2d(a[0], a[1], None, *where, shape.groups)
    wanted = [name == each for each in PASSES[1:]]

    def backward(a: list[Any]) -> Any:
        found = torch.ops.aten.convolution_backward(
            a[2], a[0], a[1], None, *where, False, [0, 0], shape.groups, [*wanted, False]
        )
        return found[wanted.index(True)]

    return backward


def _errors(ways: dict[str, Way], theirs: Callable[[list[Any]], Any], arrays: Arrays) -> dict[str, float | None]:
    """Return the largest difference of each from PyTorch's in float64, relative to the largest number; None for NaN."""
    expected = theirs([tensor.double() for tensor in arrays.tensors]).permute(0, 2, 3, 1).cpu().numpy()
    errors: dict[str, float | None] = {}
    for who, way in ways.items():
        way.prepare()
        found = way.call(0)
        host = found.get() if who == OURS else found.permute(0, 2, 3, 1).cpu().numpy()
        difference = float(np.abs(host - expected).max() / np.abs(expected).max())
        errors[who] = difference if math.isfinite(difference) else None
    return errors
