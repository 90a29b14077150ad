"""A network: a chain of layers whose shapes all fit, with its parameters on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucnn.backend import Array, Device, Shape, to_numpy
from gpucnn.errors import CheckpointError
from gpucnn.layers.base import Builder, Layer, Parameter, refresh
from gpucnn.layers.chain import Chain
from gpucnn.ops.cast import narrowed, widened
from gpucnn.ops.sums import together
from gpucnn.random import Step


@dataclass(frozen=True)
class Row:
    """A layer as a table shows it: params and flops (of one image, forward) are its own, without those inside it."""

    path: str
    name: str
    output_shape: Shape
    params: int
    flops: int


def infer(layers: Sequence[Layer], input_shape: Shape) -> Shape:
    """Return what layers make of one image of `input_shape`, without making parameters.

    Raises ShapeError, with the location of the layer that does not fit.

    >>> from gpucnn.layers.conv2d import Conv2d
    >>> infer([Conv2d(8, 5), Conv2d(16, 3, stride=2)], (28, 28, 1))
    (11, 11, 16)
    """
    return Chain(layers).output_shape(input_shape)


class Model:
    """Layers, built for images of one shape.

    layers: which it owns from now on. input_shape: one image's, (H, W, C). seed: of the weights. dtype: what images and
    all that layers make of them are stored in: float32, float64, or a half, float16 or bfloat16. With halves, scores,
    parameters and their gradients are float32. Raises ShapeError where a layer does not fit.

    >>> from gpucnn.layers.dense import Dense
    >>> from gpucnn.layers.flatten import Flatten
    >>> model = Model([Flatten(), Dense(10)], (8, 8, 1))
    >>> scores, _ = model.forward(np.zeros((2, 8, 8, 1), np.float32))
    >>> scores.shape, list(model.params)
    ((2, 10), ['1.dense.w', '1.dense.b'])
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Shape,
        *,
        seed: int = 0,
        dtype: Any = np.float32,
        device: Device = Device("cpu"),  # noqa: B008 - frozen
    ) -> None:
        self.layers, self.input_shape, self.dtype, self.device = Chain(layers), input_shape, np.dtype(dtype), device
        self.output_shape = self.layers.output_shape(input_shape)
        self.layers.build(input_shape, Builder(seed, self.dtype, device))

    @property
    def params(self) -> dict[str, Parameter]:
        """The parameters by name, `0.conv2d.w`, in the order of the forward pass."""
        return {f"{layer.path}.{key}": p for layer in self.layers.walk() for key, p in layer.params.items()}

    @property
    def state(self) -> dict[str, Array]:
        """The running statistics by name, `1.batch_norm.mean`."""
        return {f"{layer.path}.{key}": array for layer in self.layers.walk() for key, array in layer.state.items()}

    def forward(self, x: Array, train: Step | None = None) -> tuple[Array, Any]:
        """Return the scores of images x (N, H, W, C), and what `backward` needs of this pass.

        train: the step under way; None when evaluating.
        """
        scores, saved = self.layers.forward(narrowed(x, self.dtype), train=train)
        return widened(scores), saved

    def backward(self, dscores: Array, saved: Any, scale: Array | None = None) -> None:
        """Add to the gradients of all parameters, given that of the loss with respect to the scores.

        scale: (1,), what all gradients shall be multiplied by, so that float16 can hold them; None for 1.
        """
        with together():
            self.layers.backward_params(narrowed(dscores, self.dtype, scale), saved)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.params.values():
            parameter.grad = None

    def refresh(self) -> None:
        """Make the half copies of the parameters anew: after their values were changed."""
        refresh(self.params.values())

    def arrays(self) -> dict[str, Array]:
        """Return copies of all parameters and running statistics by name, as NumPy arrays."""
        return {name: np.array(to_numpy(array)) for name, array in self._arrays().items()}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over parameters and running statistics, such as `arrays` returned.

        Raises CheckpointError, before anything is changed, where an array is missing, unknown or of another shape.
        """
        own = self._arrays()
        for name, array in own.items():
            if name not in arrays:
                raise CheckpointError(f"{name} is missing: these are the weights of another network")
            if tuple(arrays[name].shape) != array.shape:
                raise CheckpointError(
                    f"{name} has shape {tuple(arrays[name].shape)}, but this network needs {array.shape}: "
                    "these are the weights of another network"
                )
        if unknown := next((name for name in arrays if name not in own), None):
            raise CheckpointError(f"{unknown} is not part of this network: these are the weights of another one")
        for name, array in own.items():
            array[...] = self.device.asarray(arrays[name], array.dtype)
        self.refresh()

    def rows(self) -> list[Row]:
        """Return one row for each layer, those inside other layers after the one that holds them."""
        return [
            Row(
                layer.path,
                layer.name,
                layer.output_shape(layer.input_shape),
                sum(p.value.size for p in layer.params.values()),
                layer.flops(layer.input_shape),
            )
            for layer in self.layers.walk()
        ]

    def _arrays(self) -> dict[str, Array]:
        return {name: p.value for name, p in self.params.items()} | self.state
