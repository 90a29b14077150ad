"""The least time that passes and steps can take: by the operations they need and by the bytes they must move.

No GPU is needed: a network is walked through. What is counted of a step:

    operations    convolutions and dense layers: forward, backward data (not of the first layer), backward weight
    bytes         of each of these passes its two operands and its result, once: every other layer would have to be
                  computed on the way, in these passes' own reads and writes, and nothing be left in a cache
    others        activations that all other layers read and write beside that, if each is a pass of its own: forward
                  reads x and writes y, backward reads dy and what was kept and writes dx

The floor is the sum over passes of the larger of the two times; operations that fewer multiplications can do
(Winograd) are counted as they stand. Updates are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.gpu.suite import met
from gpucnn.layers.base import Layer
from gpucnn.layers.chain import Container
from gpucnn.model import Model
from gpucnn.ops.window import pair

VIEWS = ("flatten",)
"""Layers that move nothing."""


@dataclass(frozen=True)
class Sheet:
    """What a device is said to do at best: operations a second by precision, without sparsity; bytes a second."""

    name: str
    operations: dict[str, float]
    bytes: float


H100 = Sheet("H100 SXM", {"float32": 67e12, "tf32": 495e12, "bf16": 989e12, "fp16": 989e12}, 3.35e12)
"""Source: NVIDIA H100 Tensor Core GPU data sheet, with sparsity's factor of 2 taken out."""


@dataclass
class Work:
    """What a step does. passes: (operations, numbers moved) of each pass of a convolution or dense layer."""

    passes: list[tuple[int, int]] = field(default_factory=list)
    others: int = 0

    @staticmethod
    def itemsize(precision: str) -> int:
        """Return the bytes of a number of an image in a precision of the config."""
        return {"bf16": 2, "fp16": 2, "float64": 8}.get(precision, 4)

    @property
    def operations(self) -> int:
        """Multiplications and additions."""
        return sum(operations for operations, _ in self.passes)

    @property
    def elements(self) -> int:
        """How many numbers the passes move at least."""
        return sum(elements for _, elements in self.passes)

    def seconds(self, operations: float, size: float, itemsize: int) -> float:
        """Return the least seconds at so many operations and bytes a second."""
        return sum(max(count / operations, itemsize * moved / size) for count, moved in self.passes)


def work(model: Model, images: int) -> Work:
    """Return the work of a step of a network over so many images."""
    found = Work()
    for first, layer in _with_first(model):
        x, y = (images * math.prod(s) for s in (layer.input_shape, layer.output_shape(layer.input_shape)))
        if "w" in layer.params:
            moved = images * _met(layer) + y + layer.params["w"].value.size
            found.passes += [(images * layer.flops(layer.input_shape), moved)] * (2 if first else 3)
        elif isinstance(layer, Container):
            found.others += 3 * (y + x) if len(layer.chains) > 1 else 0  # sums: two are read, one is written
        elif layer.name not in VIEWS:
            kept = x if layer.name != "global_avg_pool2d" else 0
            found.others += (x + y) + (y + kept + x)
    return found


def _met(layer: Layer) -> int:
    """Return how many numbers of an image a layer with weights looks at."""
    if layer.name != "conv2d":
        return math.prod(layer.input_shape)
    arguments: Any = layer.spec.arguments
    sizes = layer.input_shape, layer.output_shape(layer.input_shape), pair("", arguments.kernel_size)
    axes = zip(*(size[:2] for size in sizes), pair("", arguments.stride), strict=True)
    return math.prod(met(*axis) for axis in axes) * layer.input_shape[2]


def _with_first(model: Model) -> Iterator[tuple[bool, Layer]]:
    """Yield every layer, and whether it is the first, whose input's gradient no one asks for."""
    first = True
    for layer in model.layers.walk():
        yield first and "w" in layer.params, layer
        first = first and "w" not in layer.params
