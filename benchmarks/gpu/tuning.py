"""Plans: which of our kernels compute what; the fastest ones for all that `gpu` times, as `gpucnn tune` finds them.

What is found is kept where runs look for it, so that the parts that follow time the plans that runs would use.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.gpu.networks import CASES
from benchmarks.gpu.suite import PASSES, SUITE
from gpucnn.backend import Device
from gpucnn.cuda import plans
from gpucnn.cuda.plans import Task
from gpucnn.tuning.cache import Cache, identity
from gpucnn.tuning.choices import choices
from gpucnn.tuning.clock import clock
from gpucnn.tuning.tuner import Tuner


class Broken(RuntimeError):  # noqa: N818 - what the device is
    """A kernel has left the device unusable for this process: another one goes on with what comes next."""


def require_sound(device: Device) -> None:
    """Raise Broken where the device answers no more, as after an access beyond an array."""
    try:
        device.xp.cuda.Device().synchronize()
    except Exception as error:
        raise Broken(str(error)) from None


def as_runs_do(device: Device) -> AbstractContextManager[Any]:
    """Choose plans as a run on the device does: those that were measured, where there are any."""
    return plans.using(choices("tuned", device))


def seen(call: Callable[[], Any]) -> list[Task]:
    """Return the tasks that a call asks plans for, computed by the default ones."""
    found: list[Task] = []

    def choose(task: Task) -> None:
        found.append(task)

    with plans.using(choose):
        call()
    return found


def measure(
    device: Device, *, until: float = math.inf, known: dict[str, Any] | None = None, **_: Any
) -> Iterator[dict[str, Any]]:
    """Yield all that was tuned, more of it each time: first the networks of the steps, then the suite's passes.

    until: when to stop, by `time.monotonic`. known: what an earlier process knew; what was under way when it died is
    left out. Raises Broken.
    """
    known = known or {"tuned": []}
    rows = known["tuned"]
    if died := known.pop("under_way", None):
        rows.append({"item": died, "error": "the process ended during this"})
    tuner, cache = Tuner(device, clock(device)), Cache(identity(device))
    done = {row["item"] for row in rows}
    wanted = {name: tasks for name, tasks in _items(device).items() if name not in done}
    for i, (name, tasks) in enumerate(wanted.items()):
        if time.monotonic() > until:
            yield known | {"left_out": len(wanted) - i}
            return
        yield known | {"under_way": name}
        try:
            found = tuner.tune(tasks(), cache)
            gains = {task: one.seconds[one.default] / one.seconds[one.plan] for task, one in found.items()}
            rows.append({"item": name, "gains": gains, "plans": {task: one.plan for task, one in found.items()}})
        except Exception as error:
            rows.append({"item": name, "error": f"{type(error).__name__}: {error}"[:500]})
            yield known
            require_sound(device)
        yield known


def _items(device: Device) -> dict[str, Callable[[], list[Task]]]:
    """Return what is tuned, by name, and how its tasks are found."""
    from benchmarks.gpu.convolutions import Arrays, our_pass
    from benchmarks.gpu.modes import MODES, computed

    def of_network(case: Any) -> list[Task]:
        from gpucnn.profiling.tasks import tasks

        return [task for _, task in tasks(case.experiment(), device)]

    def of_pass(mode: Any, shape: Any, name: str) -> list[Task]:
        arrays = Arrays(shape, mode.dtype, device, 0)
        calls = [computed(our_pass(shape, name), setting) for setting in mode.ours.values()]
        return [task for call in calls for task in seen(lambda: call(arrays))]  # noqa: B023 - called at once

    items: dict[str, Callable[[], list[Task]]] = {each.name: (lambda each=each: of_network(each)) for each in CASES}
    for mode in MODES.values():
        for shape in SUITE:
            for name in PASSES:
                which = (mode, shape, name)
                items[f"{mode.name} {shape.name} {name}"] = lambda which=which: of_pass(*which)
    return items
