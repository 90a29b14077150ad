"""A network of gpucnn's as a function for JAX: the same layers, arrays in the same order (NHWC, KRSC), same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gpucnn.errors import ArgumentError
from gpucnn.layers.base import Layer
from gpucnn.layers.chain import Container
from gpucnn.ops.window import Window

LAYOUT = ("NHWC", "OHWI", "NHWC")

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "silu": jax.nn.silu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
}


class Network:
    """Applies built layers to images. half: the dtype that convolutions and dense layers read, None for x's own."""

    def __init__(self, layers: Sequence[Layer], half: Any = None) -> None:
        self._layers, self._half = layers, half

    def __call__(
        self, params: Mapping[str, Any], state: Mapping[str, Any], x: Any, *, train: bool
    ) -> tuple[Any, dict[str, Any]]:
        """Return the scores and the running statistics after this batch; arrays go by gpucnn's names."""
        self._params, self._state, self._train = params, dict(state), train
        scores = self._chain(self._layers, x if self._half is None else x.astype(self._half))
        return scores if self._half is None else scores.astype(jnp.float32), self._state

    def _chain(self, layers: Sequence[Layer], x: Any) -> Any:
        for layer in layers:
            x = self._applied(layer, x)
        return x

    def _applied(self, layer: Layer, x: Any) -> Any:
        if layer.name in ACTIVATIONS:
            return ACTIVATIONS[layer.name](x)
        apply = getattr(self, f"_{layer.name}", None)
        if apply is None:
            raise ArgumentError(f"layer {layer.path}: there is no {layer.name} in the conversion to JAX")
        return apply(layer, layer.spec.arguments, x)

    def _weight(self, layer: Layer, key: str) -> Any:
        found = self._params[f"{layer.path}.{key}"]
        return found if self._half is None else found.astype(self._half)

    def _conv2d(self, layer: Layer, a: Any, x: Any) -> Any:
        if a.connections is not None:
            raise ArgumentError(f"layer {layer.path}: there are no connections in JAX's convolutions")
        window = Window.over(layer.input_shape[:2], a.kernel_size, a.stride, a.padding, a.dilation)
        y = lax.conv_general_dilated(
            x, self._weight(layer, "w"), window.stride, window.pads, rhs_dilation=window.dilation,
            dimension_numbers=LAYOUT, feature_group_count=a.groups,
        )  # fmt: skip
        return y + self._weight(layer, "b") if a.bias else y

    def _dense(self, layer: Layer, a: Any, x: Any) -> Any:
        y = x @ self._weight(layer, "w").T
        return y + self._weight(layer, "b") if a.bias else y

    def _batch_norm(self, layer: Layer, a: Any, x: Any) -> Any:
        full, axes = x if self._half is None else x.astype(jnp.float32), tuple(range(x.ndim - 1))
        gamma, beta = (self._params[f"{layer.path}.{key}"] for key in ("gamma", "beta"))
        mean, var = (self._state[f"{layer.path}.{key}"] for key in ("mean", "var"))
        if self._train:
            count = x.size // x.shape[-1]
            batch = {"mean": full.mean(axes), "var": full.var(axes)}
            kept = batch | {"var": batch["var"] * (count / (count - 1))}
            for key, old in (("mean", mean), ("var", var)):
                self._state[f"{layer.path}.{key}"] = lax.stop_gradient((1 - a.momentum) * old + a.momentum * kept[key])
            mean, var = batch["mean"], batch["var"]
        return ((full - mean) * lax.rsqrt(var + a.eps) * gamma + beta).astype(x.dtype)

    def _max_pool2d(self, layer: Layer, a: Any, x: Any) -> Any:
        window = Window.over(layer.input_shape[:2], a.kernel_size, a.stride or a.kernel_size, a.padding)
        sizes, strides = (1, *window.kernel, 1), (1, *window.stride, 1)
        return lax.reduce_window(x, -jnp.inf, lax.max, sizes, strides, ((0, 0), *window.pads, (0, 0)))

    def _global_avg_pool2d(self, layer: Layer, a: Any, x: Any) -> Any:
        return x.mean((1, 2))

    def _flatten(self, layer: Layer, a: Any, x: Any) -> Any:
        return x.reshape(len(x), -1)

    def _scale(self, layer: Layer, a: Any, x: Any) -> Any:
        if a.learned:
            raise ArgumentError(f"layer {layer.path}: the conversion to JAX knows no scale that is learned")
        return x * a.initial

    def _sequential(self, layer: Container, a: Any, x: Any) -> Any:
        return self._chain(layer.chains["layers"].layers, x)

    def _residual(self, layer: Container, a: Any, x: Any) -> Any:
        return self._chain(layer.chains["layers"].layers, x) + self._chain(layer.chains["shortcut"].layers, x)
