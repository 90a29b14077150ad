"""Single passes of convolutions, ours beside PyTorch's with cuDNN: the same arrays, taking turns, in one process."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from statistics import median
from typing import Any

import torch

from benchmarks.gpu import exchange
from benchmarks.gpu.ceilings import ceilings, use_tf32
from benchmarks.gpu.clock import QUEUED, Clock, Way
from benchmarks.gpu.modes import CUDNN, MODES, Mode, computed
from benchmarks.gpu.suite import PASSES, SUITE, Shape
from benchmarks.gpu.tuning import as_runs_do, require_sound, seen
from gpucnn import ops
from gpucnn.backend import Device
from gpucnn.cuda import plans

MOST_BYTES = 2**32
"""Of all arrays of a shape: there are several sets of them, so that they do not stay in the cache."""

CHUNK_BYTES = 2**31
"""Of images in float64, which results are compared with so many at a time."""


class Arrays:
    """x, w and dy of a shape, on the device, as PyTorch's channels_last tensors and, the same memory, as CuPy's."""

    def __init__(self, shape: Shape, dtype: str, device: Device, seed: int) -> None:
        generator = torch.Generator(exchange.WHERE).manual_seed(seed)
        bases = [
            torch.randn(each, device=exchange.WHERE, generator=generator).to(getattr(torch, dtype))
            for each in shape.shapes
        ]
        self.x, self.w, self.dy = (exchange.array(base, device) for base in bases)
        self.tensors = [base.permute(0, 3, 1, 2) for base in bases]


def measure(
    device: Device, *, rounds: int, seconds: float, until: float = math.inf, known: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield all that is known, more of it each time: the ceilings, then one pass after the other, mode by mode.

    until: when to stop, by `time.monotonic`; what is left out then is counted. known: what an earlier process knew,
    which goes on here; the pass that was under way when it died counts as failed. Raises Broken.
    """
    torch.backends.cudnn.benchmark = True
    clock = Clock(device)
    known = known or {"ceilings": ceilings(torch, clock), "passes": []}
    rows = known["passes"]
    if died := known.pop("under_way", None):
        rows.append({**died, "error": "the process ended during this pass"})
    done = {(row["mode"], row["shape"], row["pass"]) for row in rows}
    wanted = [(mode, shape, name) for mode in MODES.values() for shape in SUITE for name in PASSES]
    wanted = [each for each in wanted if (each[0].name, each[1].name, each[2]) not in done]
    yield known
    for i, (mode, shape, name) in enumerate(wanted):
        if time.monotonic() > until:
            yield known | {"left_out": len(wanted) - i}
            return
        row = {"mode": mode.name, "shape": shape.name, "pass": name}
        yield known | {"under_way": row}
        torch.cuda.empty_cache()
        device.release()
        try:
            with as_runs_do(device):
                rows.append(row | _pass(shape, name, mode, device, clock, known["ceilings"], rounds, seconds))
        except Exception as error:
            rows.append(row | {"error": f"{type(error).__name__}: {error}"[:500]})
            yield known
            require_sound(device)
        yield known


def _pass(
    shape: Shape,
    name: str,
    mode: Mode,
    device: Device,
    clock: Clock,
    best: dict[str, float],
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    size = mode.itemsize * shape.elements
    count = max(1, min(16, -(-3 * clock.cache_bytes // size), MOST_BYTES // size))
    sets = [Arrays(shape, mode.dtype, device, seed) for seed in range(count)]
    theirs = _theirs(shape, name)
    ways = {CUDNN: Way(_in_turn(lambda arrays: theirs(arrays.tensors), sets), lambda: use_tf32(torch, mode.tf32))}
    failed, chosen = {}, {}
    for who, setting in mode.ours.items():
        ours = computed(our_pass(shape, name), setting)
        try:
            ours(sets[0])
            chosen[who] = _plans(functools.partial(ours, sets[0]))
        except Exception as error:
            failed[who] = f"{type(error).__name__}: {error}"[:500]
            require_sound(device)
        else:
            ways[who] = Way(_in_turn(ours, sets))
    errors, bound = _errors(shape, name, ways, theirs, sets[0]), mode.bound(shape.terms(name))
    times = {who: found[QUEUED] for who, found in clock.interleaved(ways, rounds=rounds, seconds=seconds).items()}
    floor = max(shape.operations / best[mode.ceiling], size / best["bytes"])
    middle = {who: median(found) for who, found in times.items()}
    return {
        "sizes": {key: value for key, value in asdict(shape).items() if key != "name"},
        "sets": count,
        "plans": chosen,
        "bound": bound,
        "errors": errors,
        "right": {who: (error := errors[who]) is not None and error <= bound for who in ways if who != CUDNN},
        "roofline": {who: floor / found for who, found in middle.items()},
        "ratio": {who: found / middle[CUDNN] for who, found in middle.items() if who != CUDNN},
        "seconds": times,
        **({"failed": failed} if failed else {}),
    }


def _in_turn(call: Callable[[Arrays], Any], sets: list[Arrays]) -> Callable[[int], Any]:
    """Return what computes a pass of the i-th set of arrays, beginning anew after the last."""
    return lambda i: call(sets[i % len(sets)])


def _plans(call: Callable[[], Any]) -> list[str]:
    """Return by which of our kernels a call is computed, as plans are chosen now."""
    return [str(plans.chosen(task)) for task in seen(call)]


def our_pass(shape: Shape, name: str) -> Callable[[Arrays], Any]:
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


def _errors(
    shape: Shape, name: str, ways: dict[str, Way], theirs: Callable[[list[Any]], Any], arrays: Arrays
) -> dict[str, float | None]:
    """Return the largest difference of each from PyTorch's in float64, relative to the largest number; None for NaN.

    Computed on the device, some images at a time, so that float64 fits beside the rest.
    """
    found = {}
    for who, way in ways.items():
        way.prepare()
        y = way.call(0)
        found[who] = y if who == CUDNN else exchange.tensor(y).permute(0, 3, 1, 2)
    largest, worst = torch.zeros((), dtype=torch.float64), dict.fromkeys(ways, torch.zeros((), dtype=torch.float64))
    torch.backends.cudnn.benchmark = False  # no search for what runs once
    try:
        for part, expected in _expected(shape, name, theirs, arrays.tensors):
            largest = torch.maximum(largest, expected.abs().max().cpu())
            for who, y in found.items():
                worst[who] = torch.maximum(worst[who], (y[part].double() - expected).abs().max().cpu())
    finally:
        torch.backends.cudnn.benchmark = True
    relative = {who: float(error / largest) for who, error in worst.items()}
    return {who: error if math.isfinite(error) else None for who, error in relative.items()}


def _expected(
    shape: Shape, name: str, theirs: Callable[[list[Any]], Any], tensors: list[Any]
) -> Iterator[tuple[slice, Any]]:
    """Yield parts of the result in float64 and which images they are of; of the gradient of w, its whole sum."""
    (_, *image), _, (_, *output) = shape.shapes
    images = max(1, CHUNK_BYTES // (8 * (math.prod(image) + math.prod(output))))
    x, w, dy = tensors
    total: Any = 0
    for first in range(0, shape.n, images):
        part = slice(first, first + images)
        y = theirs([x[part].double(), w.double(), dy[part].double()])
        if name == PASSES[2]:
            total = total + y
        else:
            yield part, y
    if name == PASSES[2]:
        yield slice(None), total
