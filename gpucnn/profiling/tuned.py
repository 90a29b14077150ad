"""An experiment's passes as the tuner finds them: their plans, what these take, and what the device could do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpucnn.backend import Device
from gpucnn.config.experiment import Experiment
from gpucnn.cuda.plans import Task
from gpucnn.errors import ArgumentError
from gpucnn.halves import named
from gpucnn.profiling.peaks import Peaks, measured
from gpucnn.profiling.seams import Part
from gpucnn.profiling.tasks import described, sizes, tasks
from gpucnn.tuning.cache import Cache, Tuned, identity
from gpucnn.tuning.clock import clock
from gpucnn.tuning.tuner import Tuner


@dataclass(frozen=True)
class Row:
    """A pass of a layer: its task and what was measured of it. is_new: not before."""

    part: Part
    task: Task
    found: Tuned
    peaks: Peaks
    is_new: bool

    @property
    def plan(self) -> str:
        """The plan that runs will choose."""
        return self.found.plan

    @property
    def seconds(self) -> float:
        """What it takes."""
        return self.found.seconds[self.plan]

    @property
    def default_seconds(self) -> float:
        """What the default plan takes."""
        return self.found.seconds[self.found.default]

    @property
    def failed(self) -> dict[str, str]:
        """Plans that cannot be used, and why."""
        return self.found.failed

    @property
    def roofline(self) -> float:
        """The least time for its work over its time."""
        return self.peaks.seconds(self.task.flops, self.task.bytes) / self.seconds

    def dump(self) -> dict[str, Any]:
        """Return it as plain data; times in seconds, plans fastest first."""
        return {
            **described(self.part, self.task),
            "plan": self.plan,
            "seconds": self.seconds,
            "default": self.found.default,
            "default_seconds": self.default_seconds,
            "roofline": self.roofline,
            "is_new": self.is_new,
            "plans": self.found.seconds,
            "failed": self.failed,
        }


def tuned(
    experiment: Experiment,
    device: Device,
    *,
    again: bool = False,
    tell: Callable[[str], object] = lambda text: None,
    warn: Callable[[str], object] = lambda text: None,
) -> tuple[list[Row], Path]:
    """Tune an experiment's passes on a CUDA device; return them layer by layer, and where they are kept.

    Those of batches or parts that are smaller, the last ones, come after all others.
    tell: hears what is being measured; warn: what is wrong with what was measured before. Raises ArgumentError where
    there is nothing to tune.
    """
    if device.kind == "cpu":
        raise ArgumentError("device cpu: it is the kernels of a GPU that are tuned: use --device cuda")
    found = [row for images in sizes(experiment) for row in tasks(experiment, device, images)]
    if not found:
        raise ArgumentError(f"{experiment.name}: no layer of it asks for a plan, so there is nothing to tune")
    cache, wanted = Cache(identity(device), warn), [task for _, task in found]
    before = {} if again else cache.read()
    tell("measuring what the device can do")
    peaks = measured(device, named(wanted[0].dtype))
    table = Tuner(device, clock(device), tell).tune(wanted, cache, again=again)
    rows = [Row(part, task, table[str(task)], peaks, is_new=str(task) not in before) for part, task in found]
    return rows, cache.path
