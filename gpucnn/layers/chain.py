"""Layers one after the other: a network's own, and what every layer that holds layers is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from gpucnn import ops
from gpucnn.backend import Array, Shape
from gpucnn.errors import OutOfMemory
from gpucnn.layers.activation import Activation
from gpucnn.layers.base import Builder, Layer
from gpucnn.layers.batch_norm import BatchNorm
from gpucnn.layers.conv2d import Conv2d
from gpucnn.layers.fused import ConvNorm, Ended, Pair, Pooled, adds_behind, is_joined
from gpucnn.layers.pool2d import MaxPool2d
from gpucnn.layers.shapes import located
from gpucnn.random import Step

Computed = Layer | Pair
"""A layer, or some that are computed as one."""


class Chain:
    """A list of layers. `period`: of how many the config tells, where they are repeated: its indices are in errors."""

    def __init__(self, layers: Sequence[Layer], period: int | None = None) -> None:
        self.layers = list(layers)
        self._period = period or len(self.layers)
        self._computed = _pooled(_fused(_in_order_of_computing(self.layers)))
        self._joined = _joined(self._computed)

    def output_shape(self, shape: Shape) -> Shape:
        """Return what comes out for one image of `shape`; the ShapeError of a layer says which one it is."""
        for i, layer in enumerate(self.layers):
            with located(i % self._period, layer.name):
                shape = layer.output_shape(shape)
        return shape

    def build(self, shape: Shape, builder: Builder) -> None:
        """Make the parameters of all layers; each is told which activation follows it."""
        for i, layer in enumerate(self.layers):
            layer.build(shape, builder.at(_key(i, layer), self._activation_after(i, builder.activation)))
            shape = layer.output_shape(shape)

    def forward(self, x: Array, *, train: Step | None = None, **last: Any) -> tuple[Array, list[Any]]:
        """Return the last layer's y, and what each layer saved. last: what the last layer takes besides."""
        layers: Sequence[Any] = self._joined if is_joined(x, train) else self._computed
        saved: list[Any] = []
        for layer in layers:
            with memory_for(layer):
                x, kept = layer.forward(x, train=train, **(last if layer is layers[-1] else {}))
            saved += kept if isinstance(layer, ConvNorm) else [kept]
        return x, saved

    def backward(self, dy: Array, saved: list[Any], z: Array | None = None) -> Array:
        """Return dx, or dx + z: every layer's delta is what the layer after it hands back."""
        return self._backward(dy, saved, len(saved), z)

    def adds(self) -> bool:
        """Return whether the last layer is a batch_norm: it adds what it is given as `z` to its output."""
        return bool(self._computed) and isinstance(self._computed[-1], BatchNorm)

    def backward_added(self, dy: Array, saved: list[Any], other: Callable[[Array], Array]) -> Array:
        """Return the sum of dx and what another way makes of dz, the gradient of what was added by the last layer."""
        last: Any = self._computed[-1]
        with memory_for(last):
            dy, dz = last.backward_added(dy, saved[-1])
        return self._backward(dy, saved, len(saved) - 1, other(dz))

    def backward_params(self, dy: Array, saved: list[Any]) -> None:
        """Add to the gradients of the parameters; nobody asks for dx."""
        for layer, kept in zip(self._computed[:0:-1], saved[:0:-1], strict=True):
            with memory_for(layer):
                dy = layer.backward(dy, kept)
        if self._computed:
            with memory_for(self._computed[0]):
                self._computed[0].backward_params(dy, saved[0])

    def _backward(self, dy: Array, saved: list[Any], count: int, z: Array | None) -> Array:
        """Return dx of the first so many layers, or dx + z: computed at once where the first layer can."""
        for i in reversed(range(count)):
            layer: Any = self._computed[i]
            with memory_for(layer):
                if i == 0 and z is not None and adds_behind(layer, dy):
                    dy, z = layer.backward(dy, saved[0], z), None
                else:
                    dy = layer.backward(dy, saved[i])
        return dy if z is None else ops.add(dy, z)

    def children(self) -> dict[str, Layer]:
        """Return the layers by their paths, `0.conv2d`."""
        return {_key(i, layer): layer for i, layer in enumerate(self.layers)}

    def walk(self) -> Iterator[Layer]:
        """Yield all layers, and those inside them, in the order of the forward pass."""
        for layer in self.layers:
            yield from layer.walk()

    def _activation_after(self, i: int, beyond: str | None) -> str | None:
        """Return the activation that layer i's output meets first; `beyond`: the one behind the whole chain."""
        for layer in self.layers[i + 1 :]:
            if layer.activation or not layer.transparent:
                return layer.activation
        return beyond


class memory_for:  # noqa: N801 - a context, and cheaper than one made of a generator
    """While entered, memory that does not suffice is an OutOfMemory that names the layer; other errors note it."""

    def __init__(self, layer: Computed | ConvNorm) -> None:
        self._layer = layer

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MemoryError) and not isinstance(error, OutOfMemory):
            raise OutOfMemory(f"out of memory in layer {self._layer.path}: {error}") from None
        if error is not None and not hasattr(error, "__notes__"):
            error.add_note(f"layer {self._layer.path}:")


def _in_order_of_computing(layers: Sequence[Layer]) -> list[Layer]:
    """Return layers in the order that they are computed in: the config's, but max_pool2d before the relu it follows.

    relu never decreases, so that the largest relu(x) is relu of the largest x; and gradients are the same, as they go
    to the same element where the maximum is positive and are zero elsewhere. Then max_pool2d can do both.
    """
    order = list(layers)
    for i, (first, second) in enumerate(pairwise(layers)):
        if (first.name, second.name) == ("relu", "max_pool2d"):
            order[i], order[i + 1] = second, first
    return order


def _fused(layers: Sequence[Layer]) -> list[Layer | Ended]:
    """Return layers, each that may end with the activation after it with that as one."""
    found: list[Layer | Ended] = []
    for layer in layers:
        before = found[-1] if found else None
        if isinstance(layer, Activation) and isinstance(before, Layer) and before.ends_with(layer.name):
            found[-1] = Ended(before, layer)
        else:
            found.append(layer)
    return found


def _pooled(layers: Sequence[Layer | Ended]) -> list[Computed]:
    """Return layers, each batch_norm and the max_pool2d after it as one."""
    found: list[Computed] = []
    for layer in layers:
        maxima = layer.first if isinstance(layer, Ended) else layer
        if isinstance(maxima, MaxPool2d) and found and isinstance(norm := found[-1], BatchNorm):
            found[-1] = Pooled(norm, layer)
        else:
            found.append(layer)
    return found


def _joined(layers: Sequence[Computed]) -> list[Computed | ConvNorm]:
    """Return layers, each conv2d and the batch_norm after it as one."""
    found: list[Computed | ConvNorm] = []
    for layer in layers:
        norm = layer.first if isinstance(layer, Pair) else layer
        if isinstance(norm, BatchNorm) and found and isinstance(conv := found[-1], Conv2d):
            found[-1] = ConvNorm(conv, layer)
        else:
            found.append(layer)
    return found


def _key(i: int, layer: Layer) -> str:
    return f"{i}.{layer.name}"


class Container(Layer):
    """Base of layers that hold chains of layers. `chains`: by the key of the config that lists their layers."""

    def __init__(self, chains: dict[str, Chain]) -> None:
        super().__init__()
        self.chains = chains

    def output_shapes(self, shape: Shape) -> list[Shape]:
        """Return what each chain makes of one image of `shape`."""
        shapes = []
        for key, chain in self.chains.items():
            with located(*(int(part) if part.isdecimal() else part for part in key.split("."))):
                shapes.append(chain.output_shape(shape))
        return shapes

    def build(self, shape: Shape, builder: Builder) -> None:
        """Make the parameters of all layers inside."""
        super().build(shape, builder)
        for key, chain in self.chains.items():
            chain.build(shape, builder.at(key, builder.activation))

    def children(self) -> dict[str, Layer]:
        """Return the layers of all chains by their paths below this one."""
        return {
            f"{key}.{path}": layer for key, chain in self.chains.items() for path, layer in chain.children().items()
        }
