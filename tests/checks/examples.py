"""An example of every layer that is registered: so that a new one is tested by being registered.

What a layer needs and has no default for is guessed from its type; EXAMPLES holds what cannot be guessed, or what is
worth checking besides the defaults. Each entry is what a config would say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gpucnn.backend import Device
from gpucnn.errors import ShapeError
from gpucnn.layers.base import Builder, Layer, Parameter
from gpucnn.random import Step
from gpucnn.registry import arguments_model

IMAGE, FLAT = (6, 5, 4), (7,)
STEP = Step(seed=5, index=3)

BRANCH = [{"conv2d": {"out_channels": 4, "padding": "same"}}, "tanh"]
"""Layers that keep an image of four channels in shape, without a bend."""

STAND_INS: dict[Any, Any] = {int: 2, float: 0.5, bool: True, list[Layer]: BRANCH, list[list[Layer]]: [BRANCH, ["tanh"]]}

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "conv2d": [
        {"out_channels": 3, "kernel_size": [3, 2], "stride": 2, "padding": "same"},
        {
            "out_channels": 4,
            "kernel_size": 3,
            "padding": [[2, 1], [0, 1]],
            "dilation": [1, 2],
            "groups": 2,
            "bias": False,
        },
        {"out_channels": 8, "kernel_size": 3, "padding": 1, "groups": 4},
        {"out_channels": 5, "kernel_size": 1, "stride": [3, 2]},
        {"out_channels": 3, "kernel_size": [2, 3], "stride": [2, 1], "connections": [[1], [3, 0], [0, 1, 3]]},
    ],
    "max_pool2d": [{"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": [1, 2], "stride": 1}],
    "avg_pool2d": [
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    ],
    "sum_pool2d": [{"kernel_size": 3, "stride": [2, 1], "padding": "same"}],
    "dense": [{"out_features": 3, "bias": False}],
    "dropout": [{"rate": 0.2}],
    "batch_norm": [{"momentum": 0.3, "eps": 0.1}],
    "residual": [
        {
            "layers": [{"conv2d": {"out_channels": 6, "stride": 2, "padding": 1, "bias": False}}, "batch_norm", "relu"],
            "shortcut": [{"conv2d": {"out_channels": 6, "kernel_size": 1, "stride": 2, "bias": False}}, "batch_norm"],
        }
    ],
    "concat": [
        {"branches": [[{"conv2d": {"out_channels": 3, "padding": "same"}}], [{"dropout": 0.3}], ["tanh", "softplus"]]}
    ],
    "scale": [{"initial": 0.5, "learned": False}],
    "sequential": [{"layers": BRANCH, "repeat": 3}],
}


def guess(cls: type[Layer]) -> dict[str, Any]:
    """Return arguments for what has no default, by the types of the constructor's parameters."""
    fields = {key: field for key, field in arguments_model(cls).model_fields.items() if field.is_required()}
    for key, field in fields.items():
        if field.annotation not in STAND_INS:
            pytest.fail(f"layer {cls.name!r}: {key} ({field.annotation}) cannot be guessed: add it to STAND_INS")
    return {key: STAND_INS[field.annotation] for key, field in fields.items()}


def examples(cls: type[Layer]) -> list[dict[str, Any]]:
    """Return the arguments to test a layer with: what is guessed with all defaults, and what EXAMPLES adds."""
    return [guess(cls), *EXAMPLES.get(cls.name, [])]


def made(cls: type[Layer], arguments: dict[str, Any]) -> Layer:
    """Return a layer made as a config makes it."""
    nested = arguments_model(cls).model_validate(arguments)  # the same check that a config's arguments pass
    return cls(**dict(nested))


@dataclass
class Case:
    """A layer that is ready for inputs of `shape`."""

    layer: Layer
    shape: tuple[int, ...]

    def params(self) -> dict[str, Parameter]:
        """Return the parameters of the layer and of those inside it, by path."""
        return {f"{layer.path}.{key}": p for layer in self.layer.walk() for key, p in layer.params.items()}


def built(layer: Layer, *, shape: tuple[int, ...] | None = None, dtype: Any = np.float64) -> Case:
    """Return a layer built for an image, or for features where it does not take images."""
    fits = [s for s in ([shape] if shape else [IMAGE, FLAT]) if _fits(layer, s)]
    if not fits:
        pytest.fail(f"layer {layer.name!r} takes neither {IMAGE} nor {FLAT}: add a shape that it takes")
    layer.build(fits[0], Builder(seed=1, dtype=dtype, device=Device("cpu"), path="layer"))
    return Case(layer, fits[0])


def _fits(layer: Layer, shape: tuple[int, ...]) -> bool:
    try:
        layer.output_shape(shape)
    except ShapeError:
        return False
    return True
