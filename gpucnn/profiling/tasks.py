"""The tasks of an experiment: what its layers' passes ask plans for, at its batch size; and the plans they get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpucnn.backend import Device
from gpucnn.config.experiment import Experiment
from gpucnn.config.implementations import Rehearsal, computing
from gpucnn.config.report import images_of
from gpucnn.cuda.families import apart
from gpucnn.cuda.plans import Task
from gpucnn.profiling.seams import Part, parts
from gpucnn.profiling.work import observed
from gpucnn.tuning.cache import Cache, identity
from gpucnn.tuning.choices import Choices


def tasks(experiment: Experiment, device: Device, images: int | None = None) -> list[tuple[Part, Task]]:
    """Return the tasks of a training step and of an evaluation, layer by layer; none on the CPU.

    images: computed at a time; by default those of a whole batch, or of a part of it. Seen in a step over two black
    ones: more of them have the same tasks. What both gradients of a convolution might be computed by together comes
    after each of them. Evaluations that ask for the same as training are listed once.
    """
    rehearsal = Rehearsal(experiment, device)
    with computing(experiment), observed(rehearsal) as training:
        rehearsal.step()
    with computing(experiment), observed(rehearsal) as evaluating:
        rehearsal.evaluate()
    size = images or _part(experiment)
    found = [
        (part, each._replace(x_shape=(size, *each.x_shape[1:])))
        for part in parts(rehearsal)
        for work in (training, evaluating)
        for task, _ in work[part].plans
        for each in (*_alone(task), task)
    ]
    return list(dict.fromkeys(found))


def sizes(experiment: Experiment) -> list[int]:
    """Return how many images are computed at a time while training: of a whole batch first, then of what is left over.

    That is of an epoch, whose last batch may be smaller, if it is known how many images it has; and of batches that are
    computed in parts, whose last one may be smaller.
    """
    batch, part, images = experiment.data.batch_size, _part(experiment), images_of(experiment).train
    left = (images or 0) % batch
    found = [part, batch % part, min(left, part), left % part]
    return [size for size in dict.fromkeys(found) if size]


def _part(experiment: Experiment) -> int:
    """Return how many images of a batch are computed at a time."""
    batch, micro_batch = experiment.data.batch_size, experiment.training.micro_batch
    return min(batch, micro_batch) if isinstance(micro_batch, int) else batch


def _alone(task: Task) -> list[Task]:
    """Return the passes that a task is of, where there are several."""
    return apart.passes(task) if task.which == "both_gradients" else []


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
