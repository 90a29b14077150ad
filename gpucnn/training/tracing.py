"""What each layer of a network computes in one step, with the same input on every device.

A network's error grows from layer to layer, and a difference in the last bit of a maximum or of a relu's input can
turn a whole gradient elsewhere. So layers are compared one by one: what comes into each, forward and backward, is
recorded once, and each side computes from that. An error that shows at a layer is that layer's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpucnn.backend import Array, to_numpy
from gpucnn.dispatch import Decision, recorded
from gpucnn.layers.base import Layer
from gpucnn.layers.fused import apart
from gpucnn.losses.base import Loss
from gpucnn.model import Model
from gpucnn.random import Step, Stream

FORWARD, DATA = "forward", "backward data"
"""What a layer's output and the gradient of its input are called; its parameters' gradients have their own names."""

_RUNNING, _STIR = "running ", 0.25


@dataclass
class Fed:
    """What came into a layer: x, and dy, the gradient of what went out; on the host."""

    x: Array
    dy: Array


@dataclass(frozen=True)
class Computed:
    """What a layer made of it, on the host, by name; and which implementations of which operations it used.

    values: `FORWARD`, `DATA`, the gradient of each parameter, and each running statistic as it is afterwards.
    forward, backward: the decisions of each pass.
    """

    values: dict[str, Array]
    forward: tuple[Decision, ...] = ()
    backward: tuple[Decision, ...] = ()


def is_parameter(what: str) -> bool:
    """Return whether a name among `Computed.values` is a parameter's, whose gradient it is."""
    return what != DATA and not is_forward(what)


def is_forward(what: str) -> bool:
    """Return whether a name among `Computed.values` is of the forward pass: its output, or running statistics."""
    return what == FORWARD or what.startswith(_RUNNING)


def leaves(model: Model) -> dict[str, Layer]:
    """Return the layers that hold no others, by path, in the order of the forward pass."""
    return {layer.path: layer for layer in model.layers.walk() if not layer.children()}


def stir(model: Model, seed: int) -> None:
    """Move biases from 0 and norms from 0 and 1, where mistakes hide, by up to a quarter: the same on every device."""
    for name, parameter in model.params.items():
        if not parameter.decay:
            numbers = Stream(seed, f"parity.{name}").uniform(parameter.value.shape)
            parameter.value += model.device.asarray((2 * numbers - 1) * _STIR, parameter.value.dtype)
    model.refresh()


def feed(model: Model, loss: Loss, x: Array, labels: Array, step: Step) -> tuple[dict[str, Fed], Array]:
    """Train the model's step without its update; return what came into each of its `leaves`, and the scores."""
    inputs: dict[str, Array] = {}
    gradients: dict[str, Array] = {}
    layers = leaves(model)
    for path, layer in layers.items():
        _hide(layer, "forward", _keeping(inputs, path, layer.forward))
        for name in ("backward", "backward_params"):
            _hide(layer, name, _keeping(gradients, path, getattr(layer, name)))
    try:
        with apart():
            scores, saved = model.forward(x, train=step)
            model.backward(loss.backward(loss.forward(scores, labels)[1]), saved)
    finally:
        for layer in layers.values():
            for name in ("forward", "backward", "backward_params"):
                vars(layer).pop(name, None)
    return {path: Fed(inputs[path], gradients[path]) for path in layers}, to_numpy(scores)


def compute(layer: Layer, fed: Fed, step: Step, model: Model) -> Computed:
    """Return what a layer of `model` makes of what it is fed; its running statistics stay as they were."""
    x, dy = (model.device.asarray(array, model.dtype) for array in (fed.x, fed.dy))
    before = {key: array.copy() for key, array in layer.state.items()}
    for parameter in layer.params.values():
        parameter.grad = None
    with recorded() as forward:
        y, saved = layer.forward(x, train=step)
    with recorded() as backward:
        dx = layer.backward(dy, saved)
    values = {FORWARD: y, DATA: dx}
    values |= {key: p.grad for key, p in layer.params.items() if p.grad is not None}
    values |= {f"{_RUNNING}{key}": array for key, array in layer.state.items()}
    host = {key: to_numpy(array).copy() for key, array in values.items()}
    for key, array in before.items():
        layer.state[key][...] = array
    return Computed(host, tuple(forward), tuple(backward))


def _hide(layer: Layer, name: str, function: Callable[..., Any]) -> None:
    """Put a function in front of a method of the layer's class."""
    vars(layer)[name] = function


def _keeping(store: dict[str, Array], path: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def keeping(array: Array, *args: Any, **kwargs: Any) -> Any:
        store[path] = to_numpy(array).copy()
        return method(array, *args, **kwargs)

    return keeping
