"""Where a training step is cut: at the methods of layers, loss and optimizer that the step calls.

For the time of a `with`, functions that tell a meter when they begin and end hide those methods, on these objects
alone: a step that is not profiled knows nothing of all this, and one that is computes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from gpucnn.layers.base import Layer
from gpucnn.layers.chain import Container
from gpucnn.losses.base import Loss
from gpucnn.model import Model
from gpucnn.optimizers.base import Optimizer
from gpucnn.training.tracing import DATA, FORWARD

WEIGHT, BOTH, UPDATE, WAIT, ELSEWHERE = "backward weight", "backward", "update", "wait", "with another"
"""`BOTH` is the backward pass of a layer that computes all its gradients in one, `ELSEWHERE` stands for the passes of
one, the forward pass at least, that are computed together with another layer, whose time holds their own."""

LOSS, OPTIMIZER, BATCH = "loss", "optimizer", "data"


class Part(NamedTuple):
    """A part of a step: a pass of the layer at `path`, or of `LOSS`, `OPTIMIZER`, `BATCH`."""

    path: str
    what: str


class Trained(Protocol):
    """What is cut: a trainer, or what else trains a network by a loss and an optimizer."""

    @property
    def model(self) -> Model:
        """The network."""

    @property
    def loss(self) -> Loss:
        """Its loss."""

    @property
    def optimizer(self) -> Optimizer:
        """What changes its weights."""


class Meter(Protocol):
    """What hears of a step's parts, which lie inside each other: a layer's in its container's."""

    def begin(self, part: Part) -> None:
        """A part begins."""

    def end(self, part: Part, owner: Any, arguments: tuple[Any, ...], result: Any) -> None:
        """The part that began last ends. owner: the layer, loss or optimizer, whose method took and returned this."""

    def abandon(self) -> None:
        """The part that began last ends with an error."""


@contextmanager
def metered(trainer: Trained, meter: Meter) -> Iterator[None]:
    """While entered, tell the meter of every part of the trainer's steps."""
    methods = list(_methods(trainer))
    for owner, name, part in methods:
        vars(owner)[name] = _telling(meter, part, owner, getattr(owner, name))
    try:
        yield
    finally:
        for owner, name, _ in methods:
            vars(owner).pop(name, None)


def parts(trainer: Trained) -> list[Part]:
    """Return the parts that a step may have, layers in the order of the forward pass."""
    return list(dict.fromkeys(part for _, _, part in _methods(trainer)))


def _methods(trainer: Trained) -> Iterator[tuple[Any, str, Part]]:
    """Yield what is cut at: an object, the name of its method, and the part of a step that the method is."""
    for layer in trainer.model.layers.walk():
        yield layer, "forward", Part(layer.path, FORWARD)
        yield layer, "backward", Part(layer.path, _backward(layer))
        if _is_cut(layer):  # else it calls backward, or those of layers inside
            yield layer, "backward_params", Part(layer.path, WEIGHT)
    yield trainer.loss, "forward", Part(LOSS, FORWARD)
    yield trainer.loss, "backward", Part(LOSS, DATA)
    yield trainer.optimizer, "update", Part(OPTIMIZER, UPDATE)


def _backward(layer: Layer) -> str:
    """Return what a layer's `backward` is, but for `backward_params` that it may call."""
    return DATA if _is_cut(layer) or not layer.params else BOTH


def _is_cut(layer: Layer) -> bool:
    """Return whether the gradients of a layer's parameters have a method of their own, which `backward` calls."""
    return not isinstance(layer, Container) and type(layer).backward_params is not Layer.backward_params


def _telling(meter: Meter, part: Part, owner: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    def telling(*args: Any, **kwargs: Any) -> Any:
        meter.begin(part)
        try:
            result = method(*args, **kwargs)
        except BaseException:
            meter.abandon()
            raise
        meter.end(part, owner, args, result)
        return result

    return telling
