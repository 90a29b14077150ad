"""What the parts of a step have to do: floating-point operations, bytes, and by what they are computed.

Floating-point operations are those that `gpucnn check` counts for a layer's forward pass, times the images; a backward
pass with respect to the data, and one with respect to the weights, is counted as many again: of a convolution and of a
dense layer each is a product of the same size. Algorithms that need fewer, Winograd's, are counted as if they did not.

Bytes are the least that a part can move, each operand read once and each result written once:

    forward           x, parameters                  -> y, and what is saved for the backward pass
    backward data     dy, weights (of layers with none: what was saved), what is added     -> dx
    backward weight   dy, what was saved             -> gradients of the parameters
    backward          dy, what was saved             -> dx, gradients of the parameters
    a container's     what its chains return         -> what it makes of that; none where it only hands it on
    update            weights, gradients, slots      -> weights, slots

A result that is an operand, such as the x that flatten reshapes, is not written.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gpucnn.config.report import arrays
from gpucnn.cuda import plans
from gpucnn.cuda.launch import address
from gpucnn.cuda.plans import Plan, Task
from gpucnn.dispatch import Decision, recorded
from gpucnn.layers.base import Layer, Parameter
from gpucnn.layers.chain import Container
from gpucnn.optimizers.base import Optimizer
from gpucnn.profiling.names import named
from gpucnn.profiling.seams import BOTH, WEIGHT, Part, Trained, metered
from gpucnn.training.tracing import FORWARD


@dataclass
class Work:
    """What a part of a step does.

    flops: None where nobody counts them. kernels: those launched on a GPU, and the CPU's algorithms for convolutions,
    in order. plans: by what a GPU computed convolutions and dense layers.
    """

    flops: int | None = None
    bytes: int = 0
    decisions: list[Decision] = field(default_factory=list)
    kernels: list[str] = field(default_factory=list)
    plans: list[tuple[Task, Plan]] = field(default_factory=list)


@contextmanager
def observed(trainer: Trained) -> Iterator[dict[Part, Work]]:
    """While entered, note the work of the trainer's step in what is yielded."""
    with recorded() as decisions, named() as kernels, plans.recorded() as chosen:
        observer = _Observer(trainer, decisions, kernels, chosen)
        with metered(trainer, observer):
            yield observer.found


class _Observer:
    """A meter that notes work."""

    def __init__(
        self, trainer: Trained, decisions: list[Decision], kernels: list[str], chosen: list[tuple[Task, Plan]]
    ) -> None:
        self.found: dict[Part, Work] = defaultdict(Work)
        self._params, self._decisions, self._kernels, self._plans = trainer.model.params, decisions, kernels, chosen
        self._open: list[Part] = []
        self._flops: dict[str, int] = {}  # of a layer's last forward pass

    def begin(self, part: Part) -> None:
        self._credit()
        self._open.append(part)

    def end(self, part: Part, owner: Any, arguments: tuple[Any, ...], result: Any) -> None:
        self._credit()
        self._open.pop()
        work = self.found[part]
        if isinstance(owner, Optimizer):
            work.bytes += _update_bytes(owner, self._params.values())
            return
        work.bytes += (_container_bytes if isinstance(owner, Container) else _bytes)(part, owner, arguments, result)
        if isinstance(owner, Layer):
            if part.what == FORWARD or part.path not in self._flops:  # a norm that a convolution ended with: dy is as x
                x = arguments[0]
                self._flops[part.path] = len(x) * owner.flops(x.shape[1:])
            work.flops = (work.flops or 0) + self._flops[part.path]

    def abandon(self) -> None:
        self._open.pop()

    def _credit(self) -> None:
        """Give what ran since the last call to the part under way."""
        if self._open:
            work = self.found[self._open[-1]]
            work.decisions += self._decisions
            work.kernels += self._kernels
            work.plans += self._plans
        for noted in (self._decisions, self._kernels, self._plans):
            noted.clear()


def _bytes(part: Part, owner: Any, arguments: tuple[Any, ...], result: Any) -> int:
    """Return the bytes of a part of a layer that holds no others, or of a loss."""
    params = list(owner.params.values()) if isinstance(owner, Layer) else []
    gradients = 0
    if part.what == FORWARD:
        arguments = (*arguments, [p.operand for p in params])
    elif part.what in (WEIGHT, BOTH):
        gradients = sum(p.value.nbytes for p in params)
    elif params:
        arguments = (arguments[0], *arguments[2:], [p.operand for p in params if p.decay])
    read, written = _sizes(arguments), _sizes(result)
    new = gradients + sum(size for address, size in written.items() if address not in read)
    return new and new + sum(read.values())


def _container_bytes(part: Part, container: Container, arguments: tuple[Any, ...], result: Any) -> int:
    """Return the bytes of a container's own work: it reads what its chains return, unless one alone does."""
    if len(container.chains) == 1:
        return 0
    if part.what != FORWARD:
        return (len(container.chains) + 1) * int(result.nbytes)
    x, y = arguments[0], result[0]
    return len(x) * sum(map(math.prod, container.output_shapes(x.shape[1:]))) * int(x.itemsize) + int(y.nbytes)


def _update_bytes(optimizer: Optimizer, params: Iterable[Parameter]) -> int:
    """Return the bytes of an update: gradients are read, weights and slots read and written, half copies made."""
    weights = list(params)
    copies = sum(p.value.nbytes + p.half.nbytes for p in weights if p.half is not None)
    return sum(p.value.nbytes for p in weights) * (1 + 2 * (1 + len(optimizer.slots))) + copies


def _sizes(value: Any) -> dict[int, int]:
    """Return the bytes of each array in a value by its address: one and the same, reshaped or not, counts once."""
    return {address(array): int(array.nbytes) for array in arrays(value)}
