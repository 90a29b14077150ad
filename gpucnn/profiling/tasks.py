"""The tasks of an experiment: what its layers' passes ask plans for, at its batch size; and the plans they get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpucnn.backend import Device
from gpucnn.config.experiment import Experiment
from gpucnn.config.implementations import Rehearsal, computing
from gpucnn.cuda.plans import Task
from gpucnn.profiling.seams import Part, parts
from gpucnn.profiling.work import observed
from gpucnn.tuning.cache import Cache, identity
from gpucnn.tuning.choices import Choices


def tasks(experiment: Experiment, device: Device) -> list[tuple[Part, Task]]:
    """Return the tasks of a training step and of an evaluation, layer by layer; none on the CPU.

    Seen in a step over two black images: a batch of another size has the same tasks with more images. Evaluations that
    ask for the same as training are listed once; the last batches of an epoch, which may be smaller, are not.
    """
    rehearsal = Rehearsal(experiment, device)
    with computing(experiment), observed(rehearsal) as training:
        rehearsal.step()
    with computing(experiment), observed(rehearsal) as evaluating:
        rehearsal.evaluate()
    images = _images(experiment)
    found = [
        (part, task._replace(x_shape=(images, *task.x_shape[1:])))
        for part in parts(rehearsal)
        for work in (training, evaluating)
        for task, _ in work[part].plans
    ]
    return list(dict.fromkeys(found))


def described(part: Part, task: Task) -> dict[str, str]:
    """Return of which layer a task is, and what it is, as plain data."""
    return {"path": part.path, "pass": task.what, "task": str(task)}


@dataclass(frozen=True)
class Planned:
    """A pass of a layer: its task, and the plan that a run would begin with. measured: `gpucnn tune` found it."""

    part: Part
    task: Task
    plan: str
    measured: bool

    def dump(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**described(self.part, self.task), "plan": self.plan, "measured": self.measured}


def planned(experiment: Experiment, device: Device, tell: Callable[[str], object]) -> list[Planned]:
    """Return by which plans a run of an experiment begins; tell: hears what is wrong with those that were measured."""
    found = tasks(experiment, device)
    if not found:
        return []
    table = Cache(identity(device), tell).read() if experiment.plans == "tuned" else {}
    chosen = Choices(measured=lambda: table)
    return [Planned(part, task, str(chosen(task)), str(task) in table) for part, task in found]


def _images(experiment: Experiment) -> int:
    """Return how many images are computed at a time."""
    batch, micro_batch = experiment.data.batch_size, experiment.training.micro_batch
    return min(batch, micro_batch) if isinstance(micro_batch, int) else batch
