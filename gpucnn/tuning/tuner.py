"""Finds the fastest plan of each task: those with the best estimates are tried, and timed in turns.

A plan that raises, or computes something else than the default one by more than rounding, is out. The others take
turns for some rounds, and the medians decide; a plan that is hardly faster than the default one does not displace it,
so that noise changes no bits. Work goes over several sets of arrays, together larger than the device's last cache:
in training, what a pass reads was written long before.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

import numpy as np

from gpucnn.backend import Array, Device, Shape
from gpucnn.cuda import plans
from gpucnn.cuda.machine import nominal
from gpucnn.cuda.plans import Plan, Task
from gpucnn.errors import DeviceError
from gpucnn.halves import accumulator, named
from gpucnn.tuning.cache import Cache, Table, Tuned
from gpucnn.tuning.choices import Choices
from gpucnn.tuning.clock import Clock, Timer

MOST_PLANS = 30
"""Of a task are timed: those with the best estimates."""

ROUNDS = 7
CALLS = 8
"""So many calls are at least one replay, for launching a graph takes microseconds, too; but not of what takes long:"""
LONG = 5e-4

HOPELESS = 2.0
"""A plan that takes so many times as long as the best is timed in the first round only."""

GAIN = 0.02
"""What a plan must be faster by than the default one to be chosen."""

MOST_SETS, SHARE = 16, 0.5
"""Of sets of arrays, and of the free memory that they may take."""

NUMBERS = 1_000_003
"""How many random numbers there are, which repeat: a prime, so that rows are not alike."""

RESULTS = {
    "forward": ("y",),
    "backward_data": ("dx",),
    "backward_weight": ("dw",),
    "both_gradients": ("dx", "dw"),
}
"""The arrays that a pass writes."""


class WrongResult(Exception):  # noqa: N818 - what a plan has
    """A plan's result is not that of the default one."""


class Tuner:
    """Measures on a device by a clock. tell: hears what is being measured."""

    def __init__(self, device: Device, clock: Clock, tell: Callable[[str], object] = lambda text: None) -> None:
        self._device, self._clock, self._tell = device, clock, tell

    def tune(self, tasks: Iterable[Task], cache: Cache, *, again: bool = False) -> Table:
        """Return what was measured of each task: before, unless `again`, or now; what is new is cached at once.

        Tasks that are equal are measured once. Where a plan computes other tasks, as `apart` does, that is by what was
        measured of them: they have to come first. Raises RunError where the cache cannot be written.
        """
        distinct, found = list(dict.fromkeys(tasks)), {} if again else cache.read()
        missing = [task for task in distinct if str(task) not in found]
        with plans.using(Choices(measured=lambda: found)):
            for number, task in enumerate(missing, start=1):
                self._tell(f"{number} of {len(missing)}: {task}")
                found[str(task)] = self.measure(task)
                cache.add({str(task): found[str(task)]})
        return {str(task): found[str(task)] for task in distinct}

    def measure(self, task: Task) -> Tuned:
        """Return the times of a task's plans; raises what the default plan raises."""
        tried = plans.candidates(task)[:MOST_PLANS]
        try:
            timers, failed = self._timers(task, tried)
            seconds = _seconds(timers)
        finally:
            self._clock.release()
        default, best = tried[0], min(seconds, key=seconds.__getitem__)
        chosen = best if seconds[best] < (1 - GAIN) * seconds[default] else default
        fastest_first = sorted(seconds, key=seconds.__getitem__)
        return Tuned(str(chosen), str(default), {str(plan): seconds[plan] for plan in fastest_first}, failed)

    def _timers(self, task: Task, tried: Sequence[Plan]) -> tuple[dict[Plan, Timer], dict[str, str]]:
        """Return what times each plan that works, the default one first; and why the others do not."""
        sets = self._sets(task)
        results = [sets[0][name] for name in RESULTS[task.which]]
        timers, failed = {tried[0]: self._timer(task, tried[0], sets)}, {}
        expected = [_widened(result) for result in results]
        for plan in tried[1:]:
            for result in results:
                result[...] = np.nan  # what a plan leaves as it was, it did not compute
            try:
                timer = self._timer(task, plan, sets)
                for result, right in zip(results, expected, strict=True):
                    _require_near(task, _widened(result), right)
            except Exception as error:  # whatever a kernel or CUDA raises: another plan computes the task
                failed[str(plan)] = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                _require_sound(task, plan, timers[tried[0]], failed[str(plan)])
            else:
                timers[plan] = timer
        return timers, failed

    def _timer(self, task: Task, plan: Plan, sets: Sequence[dict[str, Array]]) -> Timer:
        family = plans.families()[plan.family]
        is_long = family.estimate(task, plan, nominal(task.architecture)) > LONG
        count = max(len(sets), 1 if is_long else CALLS)
        return self._clock.timer([functools.partial(family.run, plan, task, sets[i % len(sets)]) for i in range(count)])

    def _sets(self, task: Task) -> list[dict[str, Array]]:
        """Return sets of arrays for a task, of random numbers."""
        wanted = -(-3 * self._clock.cache_bytes // max(1, int(task.bytes)))
        room = int(SHARE * self._clock.free_bytes / max(1.0, task.bytes))
        count = max(1, min(MOST_SETS, wanted, room))
        return [
            {name: self._numbers(seed, shape, dtype_of(task, name)) for name, shape in shapes(task).items()}
            for seed in range(count)
        ]

    def _numbers(self, seed: int, shape: Shape, dtype: Any) -> Array:
        numbers = np.random.default_rng(seed).standard_normal(min(NUMBERS, math.prod(shape)), np.float32)
        return self._device.asarray(np.resize(numbers, shape), dtype)


def shapes(task: Task) -> dict[str, Shape]:
    """Return the shapes of a task's arrays, by the names that families know them by."""
    x, w, y = task.x_shape, task.w_shape, task.y_shape
    return {
        "forward": {"x": x, "w": w, "b": w[:1], "y": y},
        "backward_data": {"dy": y, "w": w, "dx": x},
        "backward_weight": {"x": x, "dy": y, "dw": w},
        "both_gradients": {"x": x, "dy": y, "w": w, "dx": x, "dw": w},
    }[task.which]


def dtype_of(task: Task, name: str) -> Any:
    """Return the dtype of one of a task's arrays: gradients of weights are kept as sums are carried."""
    dtype = named(task.dtype)
    return accumulator(dtype) if name == "dw" else dtype


def _seconds(timers: dict[Plan, Timer]) -> dict[Plan, float]:
    """Return the median of each plan's times: of all rounds, or of the first where it is hopeless."""
    times = {plan: [timer()] for plan, timer in timers.items()}
    best = min(found[0] for found in times.values())
    running = [plan for plan, found in times.items() if found[0] < HOPELESS * best or plan == next(iter(times))]
    for number in range(1, ROUNDS):
        first = number % len(running)  # whoever is timed first has a device that rested
        for plan in (*running[first:], *running[:first]):
            times[plan].append(timers[plan]())
    return {plan: median(found) for plan, found in times.items()}


def _require_sound(task: Task, plan: Plan, default: Timer, why: str) -> None:
    """Raise DeviceError where the default plan, which worked, does so no more after another one failed."""
    try:
        default()
    except Exception:
        raise DeviceError(
            f"{task}: plan {plan} left the device unusable for this process ({why}): that is a mistake in its kernel; "
            "please report it. What was measured before is kept"
        ) from None


def _require_near(task: Task, result: Array, expected: Array) -> None:
    """Raise WrongResult where two results are not near: sums of so many products of random numbers."""
    unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}[task.dtype]
    summed = 2.0**-53 if task.dtype == "float64" else 2.0**-23
    if task.dtype == "float32" and task.numerics == "tf32":
        unit = 2.0**-11
    terms = max(1.0, task.flops / 2 / len(RESULTS[task.which]) / max(1, result.size))
    allowed = 16 * (unit * math.sqrt(terms) + summed * terms)
    beyond = abs(result - expected) - 16 * unit * abs(expected)
    if result.size and not float(beyond.max()) <= allowed:  # a NaN is no number that is less
        raise WrongResult("its result is not that of the default plan")


def _widened(x: Array) -> Array:
    """Return a copy in which differences are told exactly enough."""
    wide: Array = x.astype(np.float64 if x.dtype == np.float64 else np.float32)
    return wide
