"""The tasks of an experiment: what its layers' passes ask plans for, at the experiment's batch size."""

from __future__ import annotations

from gpucnn.backend import Device
from gpucnn.config.experiment import Experiment
from gpucnn.config.implementations import Rehearsal, computing
from gpucnn.cuda.plans import Task
from gpucnn.profiling.seams import Part
from gpucnn.profiling.work import observed


def tasks(experiment: Experiment, device: Device) -> list[tuple[Part, Task]]:
    """Return the tasks of a training step and of an evaluation, in the order of the step; none on the CPU.

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
        for work in (training, evaluating)
        for part, each in work.items()
        for task, _ in each.plans
    ]
    return list(dict.fromkeys(found))


def _images(experiment: Experiment) -> int:
    """Return how many images are computed at a time."""
    batch, micro_batch = experiment.data.batch_size, experiment.training.micro_batch
    return min(batch, micro_batch) if isinstance(micro_batch, int) else batch
