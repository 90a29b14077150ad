"""Initialisers: how weights are drawn before the first step.

A layer's output keeps the variance of its input where Var[w] = gain / fan_in, and a gradient keeps its variance
where Var[w] = gain / fan_out; the gain makes up for what the activation that follows takes away.

    he_normal, he_uniform            Var[w] = 2 / fan_in               He et al., "Delving deep into rectifiers",
                                                                       ICCV 2015, eq. 10
    glorot_normal, glorot_uniform    Var[w] = 2 / (fan_in + fan_out)   Glorot and Bengio, "Understanding the difficulty
                                                                       of training deep feedforward neural networks",
                                                                       AISTATS 2010, eq. 12 and 16
    lecun_normal                     Var[w] = 1 / fan_in               LeCun et al., "Efficient BackProp", 1998, 4.6
    zeros                            w = 0                             a residual branch that starts as nothing
    dirac                            w = 1 for one input, else 0       the first outputs are the inputs, as they are, as
                                                                       far as there are both; the other outputs are
                                                                       drawn as `auto` does. S. Zagoruyko and
                                                                       N. Komodakis, "DiracNets", arXiv:1706.00388

A uniform distribution of variance v is that over [-sqrt(3 v), sqrt(3 v)).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.errors import ArgumentError
from gpucnn.random import Stream

Init = Literal["auto", "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "zeros", "dirac"]
"""The initialisers that a layer's `init` chooses from."""


def chosen_for(activation: str | None) -> Init:
    """Return the initialiser that `auto` takes before `activation` (None: none follows, as at a network's end).

    tanh, sigmoid and no activation are Glorot's case: odd or linear around 0, with a gain near 1 both ways.
    scaled_tanh is LeCun's: 1.7159 tanh(2x/3) maps unit variance to about unit variance, so that 1 / fan_in is right.
    All others are rectifiers, hard (relu, leaky_relu) or soft (elu, gelu, silu, softplus): they halve the second
    moment or nearly so, which is He's gain of 2.

    >>> chosen_for("relu"), chosen_for("scaled_tanh"), chosen_for(None)
    ('he_normal', 'lecun_normal', 'glorot_uniform')
    """
    if activation == "scaled_tanh":
        return "lecun_normal"
    return "glorot_uniform" if activation in (None, "sigmoid", "tanh") else "he_normal"


def initial(
    init: str, activation: str | None, stream: Stream, shape: Shape, fan_in: int | Array, fan_out: int | Array
) -> Array:
    """Return a weight's first values, float64 of `shape`, drawn from `stream`.

    init: one of `Init`; `auto` chooses by the `activation` that follows. fan_in, fan_out: how many inputs an output
    sums, and how many outputs an input reaches; arrays where that differs from weight to weight.
    Raises ArgumentError for an unknown `init`, and for dirac where shape is not (outputs, ..., inputs).

    >>> w = initial("auto", "relu", Stream(0, "init.0.conv2d.w"), (64, 3, 3, 32), fan_in=288, fan_out=576)
    >>> w.shape, round(float(w.std()) / (2 / 288) ** 0.5, 2)
    ((64, 3, 3, 32), 1.0)
    """
    if init not in get_args(Init):
        raise ArgumentError(f"init (={init!r}) must be one of {', '.join(get_args(Init))}")
    if init == "dirac":
        return _dirac(initial("auto", activation, stream, shape, fan_in, fan_out))
    family, _, distribution = (chosen_for(activation) if init == "auto" else init).partition("_")
    if family == "zeros":
        return np.zeros(shape)
    variance = {"he": 2 / fan_in, "glorot": 2 / (fan_in + fan_out), "lecun": 1 / fan_in}[family]
    if distribution == "normal":
        return np.sqrt(variance) * stream.normal(shape)
    weights: Array = np.sqrt(3 * variance) * (2 * stream.uniform(shape, np.float64) - 1)
    return weights


def _dirac(w: Array) -> Array:
    """Return weights (K, C) or (K, R, S, C), the first of which hand on an input each: in the middle of the kernel.

    >>> _dirac(np.full((3, 2), 0.5)).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
    """
    if w.ndim not in (2, 4):
        raise ArgumentError("init dirac is for weights from all inputs to all outputs, not for connections")
    handed_on = np.arange(min(w.shape[0], w.shape[-1]))
    middle = tuple(size // 2 for size in w.shape[1:-1])
    w[handed_on] = 0
    w[(handed_on, *middle, handed_on)] = 1
    return w
