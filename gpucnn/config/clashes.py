"""Settings that are right each by itself, and do not fit each other or the data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gpucnn.backend import Shape
from gpucnn.config.experiment import Experiment, Statistics
from gpucnn.data.base import Info
from gpucnn.data.split import split
from gpucnn.errors import ArgumentError, GpucnnError, ShapeError
from gpucnn.layers.base import Layer
from gpucnn.model import infer
from gpucnn.problems import Location, Problem, plural
from gpucnn.schedules.base import in_steps


@dataclass
class _Facts:
    """What the rules look at.

    complete: whether the whole network is there. images: to train on, None where only reading the files would tell.
    norms: the shape of one image at every batch_norm.
    """

    experiment: Experiment
    info: Info
    complete: bool
    images: int | None = None
    norms: list[Shape] = field(default_factory=list)


_Rule = Callable[[_Facts], Iterator[Problem]]
_RULES: list[tuple[_Rule, tuple[Location, ...]]] = []


def clashes(experiment: Experiment, faulty: Sequence[Location]) -> Iterator[Problem]:
    """Yield what does not fit. faulty: settings known to be wrong; rules that need one of them are left out."""

    def sound(need: Location) -> bool:
        return not any(one[: len(need)] == need or need[: len(one)] == one for one in faulty)

    if sound(("training", "early_stopping")) and sound(("data", "validation")):
        yield from _early_stopping(experiment)
    if not sound(("data", "dataset")):
        return
    try:
        info = experiment.data.dataset.build().info()
    except GpucnnError as error:
        yield Problem(("data", "dataset", experiment.data.dataset.name), str(error))
        return
    facts = _Facts(experiment, info, complete=sound(("model",)))
    for rule, needs in _RULES:
        if all(map(sound, needs)):
            yield from rule(facts)


def _rule(*needs: str) -> Callable[[_Rule], _Rule]:
    """Register a rule that needs these settings, as `section.key`, to be right."""

    def register(rule: _Rule) -> _Rule:
        _RULES.append((rule, tuple(tuple(need.split(".")) for need in needs)))
        return rule

    return register


@_rule("precision")
def _precision(facts: _Facts) -> Iterator[Problem]:
    try:
        _ = facts.experiment.dtype
    except ArgumentError as error:
        yield Problem(("precision",), f"is {facts.experiment.precision}, but {error}")


@_rule("precision", "numerics")
def _exact(facts: _Facts) -> Iterator[Problem]:
    if facts.experiment.precision == "tf32" and facts.experiment.numerics == "exact":
        yield Problem(("numerics",), "is exact, but precision is tf32, which rounds: choose float32, or leave it out")


@_rule("data.validation", "seed")
def _validation(facts: _Facts) -> Iterator[Problem]:
    if facts.info.train is None:
        return
    validation = facts.experiment.data.validation
    try:
        facts.images = len(split(facts.info.train, validation, facts.experiment.seed)[0])
    except ArgumentError as error:
        yield Problem(
            ("data", "validation"), str(error).replace(f"validation (={validation!r})", f"is {validation}, but")
        )


@_rule("data.batch_size", "data.validation")
def _batch_size(facts: _Facts) -> Iterator[Problem]:
    size = facts.experiment.data.batch_size
    if facts.images is not None and size > facts.images:
        message = f"is {size}, but there are only {facts.images} images to train on: choose {facts.images} or less"
        yield Problem(("data", "batch_size"), message)


@_rule("data.augment")
def _augment(facts: _Facts) -> Iterator[Problem]:
    for i, augmentation in enumerate(facts.experiment.data.augment):
        try:
            augmentation.build().check(facts.info.shape)
        except ArgumentError as error:
            message = str(error).removeprefix(f"{augmentation.name}: ")
            yield Problem(("data", "augment", i, augmentation.name), message)


@_rule("training.evaluate")
def _views(facts: _Facts) -> Iterator[Problem]:
    shift, size = facts.experiment.training.evaluate.shift, facts.info.shape[:2]
    if shift >= min(size):
        message = f"is {shift}, which must be below the images' height and width, {list(size)}"
        yield Problem(("training", "evaluate", "shift"), message)


@_rule("data.normalize")
def _normalize(facts: _Facts) -> Iterator[Problem]:
    statistics, channels = facts.experiment.data.normalize, facts.info.shape[-1]
    if isinstance(statistics, Statistics):
        for key, numbers in statistics:
            if len(numbers) != channels:
                rule = f"must have one number a channel, that is {channels} for this data set"
                yield Problem(("data", "normalize", key), f"{rule}; got {len(numbers)}")


@_rule()
def _classes(facts: _Facts) -> Iterator[Problem]:
    if len(facts.info.classes) == 1:
        name = facts.experiment.data.dataset.name
        rule = f"has a single class, {facts.info.classes[0]!r}: a network learns to tell two or more apart"
        yield Problem(("data", "dataset", name), rule)


@_rule()
def _shapes(facts: _Facts) -> Iterator[Problem]:
    classes = len(facts.info.classes)
    output: Shape = (classes,)  # what is assumed where the network is not known to its end
    layers = [spec.build() for spec in facts.experiment.model]
    for layer in itertools.chain.from_iterable(layer.walk() for layer in layers):
        if layer.name == "batch_norm":
            _watch(layer, facts.norms)
    try:
        inferred = infer(layers, facts.info.shape)
        output = inferred if facts.complete else output
    except ShapeError as error:
        yield Problem(("model", *error.location), str(error))
    try:
        facts.experiment.loss.build().check(output, classes)
    except ShapeError as error:
        last = len(facts.experiment.model) - 1
        yield Problem(("model", last, facts.experiment.model[last].name), str(error))
    except ArgumentError as error:
        yield Problem(("loss", facts.experiment.loss.name), str(error))


def _watch(layer: Layer, shapes: list[Shape]) -> None:
    """Let a layer note the shapes that it is asked to infer from."""
    infer_one = layer.output_shape

    def noting(shape: Shape) -> Shape:
        shapes.append(shape)
        return infer_one(shape)

    layer.output_shape = noting  # type: ignore[method-assign]


@_rule("data.batch_size", "data.validation")
def _lone_image(facts: _Facts) -> Iterator[Problem]:
    """Refuse batches of one image where batch_norm would take the variance of one number, which is no variance."""
    size, images = facts.experiment.data.batch_size, facts.images
    if images is None or (images % size or size) > 1 or not any(math.prod(shape[:-1]) == 1 for shape in facts.norms):
        return
    better = next((other for other in range(size, 1, -1) if images % other != 1), size + 1)
    where = f"the last batch of an epoch holds 1 of the {images} images" if size > 1 else "a batch holds 1 image"
    yield Problem(
        ("data", "batch_size"),
        f"is {size}, so {where}, and batch_norm cannot take the variance of a single number: try {better}",
    )


@_rule("data.batch_size", "data.validation", "training.epochs", "schedule")
def _warmup(facts: _Facts) -> Iterator[Problem]:
    if facts.images is None:
        return
    epochs, batches = facts.experiment.training.epochs, -(-facts.images // facts.experiment.data.batch_size)
    warmup = in_steps(facts.experiment.schedule.build().warmup, epochs * batches)
    if warmup >= epochs * batches:
        run = f"{plural(epochs, 'epoch')} of {plural(batches, 'step')}, {epochs * batches} in all"
        message = f"is {plural(warmup, 'step')}, which must be less than the run: {run}"
        yield Problem(("schedule", facts.experiment.schedule.name, "warmup"), message)


def _early_stopping(experiment: Experiment) -> Iterator[Problem]:
    if experiment.training.early_stopping is not None and experiment.data.validation == 0:
        yield Problem(
            ("training", "early_stopping"),
            "needs images to validate with: set data.validation, to 0.1 (a tenth of the training images) say",
        )
