"""What an experiment amounts to, known without training: layers, memory, data, steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gpucnn.backend import Array, Device
from gpucnn.config.experiment import Every, Experiment
from gpucnn.data.split import split
from gpucnn.errors import DataError
from gpucnn.model import Model, Row
from gpucnn.problems import plural
from gpucnn.random import Step


@dataclasses.dataclass(frozen=True)
class Images:
    """The data set: one image's shape, the classes, how many images each use gets (None: only the files would tell).

    missing: why the files cannot be read, None where they can.
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...]
    train: int | None
    validation: int | None
    test: int | None
    missing: str | None


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes that a training step holds at its fullest, between its forward and its backward pass.

    weights: with their half copies and running statistics. activations: what layers keep for the backward pass, at the
    experiment's batch size. What an operation needs only while it runs, and batches that are prepared ahead, come on
    top.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclasses.dataclass(frozen=True)
class Report:
    """What `gpucnn check` tells of an experiment."""

    experiment: Experiment
    layers: list[Row]
    memory: Memory
    images: Images

    @property
    def parameters(self) -> int:
        """Learned numbers in the whole network."""
        return sum(row.params for row in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations of one image's forward pass."""
        return sum(row.flops for row in self.layers)

    @property
    def batches(self) -> int | None:
        """Steps in one epoch."""
        return None if self.images.train is None else -(-self.images.train // self.experiment.data.batch_size)

    @property
    def steps(self) -> int | None:
        """Steps in the whole run."""
        return None if self.batches is None else self.batches * self.experiment.training.epochs

    @property
    def notes(self) -> list[str]:
        """What is allowed and yet hardly meant."""
        training, found = self.experiment.training, []
        if training.early_stopping and training.early_stopping.patience >= training.epochs:
            found.append(
                f"training.early_stopping never stops: patience (={training.early_stopping.patience}) is not below "
                f"epochs (={training.epochs})"
            )
        if isinstance(training.checkpoint_every, Every):
            every, last, unit = training.checkpoint_every.steps, self.steps or math.inf, "step"
        else:
            every, last, unit = training.checkpoint_every, training.epochs, "epoch"
        if every > last:
            found.append(
                f"training.checkpoint_every (={every}) is beyond the {plural(last, unit)} of the run: "
                "it saves at the end only"
            )
        if training.keep_every and training.keep_every > training.epochs:
            found.append(
                f"training.keep_every (={training.keep_every}) is beyond the {plural(training.epochs, 'epoch')} of the "
                "run: it keeps none"
            )
        return found

    def dump(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "experiment": self.experiment.dump(),
            "images": dataclasses.asdict(self.images),
            "layers": [dataclasses.asdict(row) for row in self.layers],
            "parameters": self.parameters,
            "flops_per_image": self.flops,
            "memory": {**dataclasses.asdict(self.memory), "total": self.memory.total},
            "steps_per_epoch": self.batches,
            "steps": self.steps,
            "notes": self.notes,
        }


def report(experiment: Experiment) -> Report:
    """Return the report of a loaded experiment. Builds the network on the CPU, whatever the experiment's device."""
    images, layers = images_of(experiment), [spec.build() for spec in experiment.model]
    model = Model(layers, images.shape, seed=experiment.seed, dtype=experiment.dtype, device=Device("cpu"))
    return Report(experiment, model.rows(), _memory(experiment, model), images)


def images_of(experiment: Experiment) -> Images:
    """Return how many images an experiment has, and of which shape."""
    dataset = experiment.data.dataset.build()
    info = dataset.info()
    missing, train, test = None, info.train, info.test
    try:
        train, test = (len(dataset.load(name)) for name in ("train", "test"))
    except DataError as error:
        missing = str(error)
    validation = None
    if train is not None:
        train, validation = map(len, split(train, experiment.data.validation, experiment.seed))
    return Images(info.shape, info.classes, train, validation, test, missing)


def _memory(experiment: Experiment, model: Model) -> Memory:
    weights = sum(parameter.value.nbytes for parameter in model.params.values())
    halves = sum(parameter.half.nbytes for parameter in model.params.values() if parameter.half is not None)
    slots = len(experiment.optimizer.build().slots)
    statistics = sum(array.nbytes for array in model.state.values())
    activations = kept(model, experiment.data.batch_size)
    return Memory(weights + halves + statistics, weights, weights * slots, activations)


def kept(model: Model, images: int) -> int:
    """Return how many bytes a forward pass over so many images keeps for the backward pass.

    Measured, not derived: two passes are run, over 2 and over 3 random images; the distinct buffers that what they
    returned refers to are added up, views counted as the whole array they look at, weights left out; the difference
    is what one image more takes.
    """
    two, three = (_kept(model, count) for count in (2, 3))
    return two + (images - 2) * (three - two)


def _kept(model: Model, count: int) -> int:
    x = np.random.default_rng(0).standard_normal((count, *model.input_shape)).astype(model.dtype)
    _, saved = model.forward(x, train=Step(0, 0))
    own = [*(parameter.operand for parameter in model.params.values()), *model.state.values()]
    weights = {id(_buffer(array)) for array in own}
    buffers = {id(buffer): buffer for buffer in map(_buffer, arrays(saved))}
    return sum(buffer.nbytes for key, buffer in buffers.items() if key not in weights)


def _buffer(array: Array) -> Array:
    """Return the array whose memory an array looks at: itself, unless it is a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def arrays(saved: Any) -> Iterator[Array]:
    """Yield every array, NumPy's or CuPy's, in what layers saved: tuples, lists, mappings and dataclasses of arrays."""
    if hasattr(saved, "nbytes"):
        yield saved
    elif isinstance(saved, (tuple, list)):
        for item in saved:
            yield from arrays(item)
    elif isinstance(saved, Mapping):
        yield from arrays(list(saved.values()))
    elif dataclasses.is_dataclass(saved):
        yield from arrays([getattr(saved, field.name) for field in dataclasses.fields(saved)])
