"""A network of gpucnn's as a PyTorch module, with the same weights: layer by layer, whatever network it is.

PyTorch's images are (N, C, H, W), in memory either so or, `channels_last`, as ours. Flatten takes them in the order
in which they lie in memory, which costs nothing; where that is not our order, the weights of the dense layer that
follows are reordered instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpucnn.backend import Array, Shape
from gpucnn.errors import ArgumentError
from gpucnn.layers.base import Layer
from gpucnn.layers.chain import Container
from gpucnn.model import Model
from gpucnn.ops.window import Window

ACTIVATIONS = {"gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softplus": nn.Softplus}
"""Those that are computed element by element, without arguments."""


@dataclass(frozen=True)
class Weight:
    """A parameter of the module. decay: whether weight decay applies. ours: from its layout to ours."""

    tensor: Tensor
    decay: bool
    ours: Callable[[Array], Array]


class Converter:
    """Makes modules of built layers. `weights`: their parameters by the names that gpucnn gives them."""

    def __init__(self, dtype: np.dtype[Any], *, channels_last: bool) -> None:
        self.weights: dict[str, Weight] = {}
        self._dtype, self._channels_last = getattr(torch, dtype.name), channels_last
        self._flattened: Shape | None = None  # the image that rows of features were, (H, W, C), if in another order

    def chain(self, layers: Sequence[Layer]) -> nn.Sequential:
        """Return layers one after the other."""
        return nn.Sequential(*(self.module(layer, first=i == 0) for i, layer in enumerate(layers)))

    def module(self, layer: Layer, *, first: bool = True) -> nn.Module:
        """Return one layer. first: whether what comes in is also seen by others, so that it must not be changed."""
        if layer.name == "relu":
            return nn.ReLU(inplace=not first)
        if layer.name in ACTIVATIONS:
            return ACTIVATIONS[layer.name]()
        make = getattr(self, f"_{layer.name}", None)
        if make is None:
            raise ArgumentError(f"layer {layer.path}: there is no {layer.name} in the conversion to PyTorch")
        module: nn.Module = make(layer, layer.spec.arguments)
        return module

    def _conv2d(self, layer: Layer, a: Any) -> nn.Module:
        if a.connections is not None:
            raise ArgumentError(f"layer {layer.path}: there are no connections in PyTorch's convolutions")
        window = Window.over(layer.input_shape[:2], a.kernel_size, a.stride, a.padding, a.dilation)
        even, shape = _even(window), (layer.input_shape[2], a.out_channels, window.kernel, window.stride)
        padding = _amount(window) if even else 0
        conv = nn.Conv2d(*shape, padding, window.dilation, a.groups, a.bias, dtype=self._dtype)
        self._take(layer, "w", conv.weight, lambda w: w.transpose(0, 3, 1, 2), lambda w: w.transpose(0, 2, 3, 1))
        if a.bias:
            self._take(layer, "b", conv.bias)
        return conv if even else nn.Sequential(_pad(window, 0.0), conv)

    def _dense(self, layer: Layer, a: Any) -> nn.Module:
        dense = nn.Linear(layer.input_shape[0], a.out_features, a.bias, dtype=self._dtype)
        if self._flattened:
            h, w, c = self._flattened
            self._take(
                layer,
                "w",
                dense.weight,
                lambda x: x.reshape(-1, h, w, c).transpose(0, 3, 1, 2).reshape(x.shape),
                lambda x: x.reshape(-1, c, h, w).transpose(0, 2, 3, 1).reshape(x.shape),
            )
            self._flattened = None
        else:
            self._take(layer, "w", dense.weight)
        if a.bias:
            self._take(layer, "b", dense.bias)
        return dense

    def _batch_norm(self, layer: Layer, a: Any) -> nn.Module:
        if self._flattened:
            raise ArgumentError(f"layer {layer.path}: the conversion to PyTorch knows no batch_norm after flatten")
        kind = nn.BatchNorm2d if len(layer.input_shape) == 3 else nn.BatchNorm1d
        norm = kind(layer.input_shape[-1], eps=a.eps, momentum=a.momentum, dtype=self._dtype)
        self._take(layer, "gamma", norm.weight)
        self._take(layer, "beta", norm.bias)
        for key, tensor in (("mean", norm.running_mean), ("var", norm.running_var)):
            tensor.copy_(torch.from_numpy(layer.state[key]))
        return norm

    def _scale(self, layer: Layer, a: Any) -> nn.Module:
        if a.learned:
            raise ArgumentError(f"layer {layer.path}: the conversion to PyTorch knows no scale that is learned")
        return Times(a.initial)

    def _flatten(self, layer: Layer, a: Any) -> nn.Module:
        if len(layer.input_shape) == 3 and not self._channels_last:
            self._flattened = layer.input_shape
        return FlattenAsOurs() if self._channels_last else nn.Flatten()

    def _dropout(self, layer: Layer, a: Any) -> nn.Module:
        return nn.Dropout(a.rate)

    def _max_pool2d(self, layer: Layer, a: Any) -> nn.Module:
        window = _pool_window(layer, a)
        if _even(window) and all(2 * n <= size for n, size in zip(_amount(window), window.kernel, strict=True)):
            return nn.MaxPool2d(window.kernel, window.stride, _amount(window))
        return nn.Sequential(_pad(window, -np.inf), nn.MaxPool2d(window.kernel, window.stride))

    def _avg_pool2d(self, layer: Layer, a: Any, divisor: int | None = None) -> nn.Module:
        window = _pool_window(layer, a)
        if divisor or a.count_include_pad:
            pool = nn.AvgPool2d(window.kernel, window.stride, divisor_override=divisor)
            return pool if window.pads == ((0, 0), (0, 0)) else nn.Sequential(_pad(window, 0.0), pool)
        if not _even(window):
            raise ArgumentError(f"layer {layer.path}: PyTorch cannot leave padding out of means where it is uneven")
        return nn.AvgPool2d(window.kernel, window.stride, _amount(window), count_include_pad=False)

    def _sum_pool2d(self, layer: Layer, a: Any) -> nn.Module:
        return self._avg_pool2d(layer, a, divisor=1)

    def _global_avg_pool2d(self, layer: Layer, a: Any) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def _sequential(self, layer: Container, a: Any) -> nn.Module:
        return self.chain(layer.chains["layers"].layers)

    def _residual(self, layer: Container, a: Any) -> nn.Module:
        return Residual(*(self.chain(layer.chains[key].layers) for key in ("layers", "shortcut")))

    def _take(
        self,
        layer: Layer,
        key: str,
        tensor: Tensor,
        theirs: Callable[[Array], Array] = lambda x: x,
        ours: Callable[[Array], Array] = lambda x: x,
    ) -> None:
        """Copy a parameter into its tensor and remember where it went."""
        parameter = layer.params[key]
        tensor.data.copy_(torch.from_numpy(np.ascontiguousarray(theirs(parameter.value))))
        self.weights[f"{layer.path}.{key}"] = Weight(tensor, parameter.decay, ours)


class FlattenAsOurs(nn.Module):
    """Images to rows of features in our order: a view of images that lie channels_last."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, H*W*C)."""
        return x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x


class Times(nn.Module):
    """The product with a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Return the product."""
        return x * self.factor


class Residual(nn.Module):
    """The sum of two ways."""

    def __init__(self, layers: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.layers, self.shortcut = layers, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x) + g(x)."""
        y: Tensor = self.layers(x)
        return y.add_(self.shortcut(x)) if y is not x else x + self.shortcut(x)


def convert(model: Model, *, channels_last: bool = False) -> tuple[nn.Module, dict[str, Weight]]:
    """Return the module with copies of the model's weights, and these by name; raises ArgumentError where it cannot."""
    converter = Converter(model.dtype, channels_last=channels_last)
    module = converter.chain(model.layers.layers)
    if channels_last:
        module.to(memory_format=torch.channels_last)
    return module, converter.weights


def _pool_window(layer: Layer, a: Any) -> Window:
    stride = a.kernel_size if a.stride is None else a.stride
    return Window.over(layer.input_shape[:2], a.kernel_size, stride, a.padding)


def _even(window: Window) -> bool:
    """Return whether padding is the same on both sides, as PyTorch's layers have it."""
    return all(before == after for before, after in window.pads)


def _amount(window: Window) -> tuple[int, int]:
    return window.pads[0][0], window.pads[1][0]


def _pad(window: Window, value: float) -> nn.Module:
    (top, bottom), (left, right) = window.pads
    return nn.ConstantPad2d((left, right, top, bottom), value)
