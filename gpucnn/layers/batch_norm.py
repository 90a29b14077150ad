"""Batch normalisation as a layer: the batch's statistics while training, running ones when evaluating."""

from __future__ import annotations

from typing import Any

from gpucnn import ops
from gpucnn.arguments import NonNegativeFloat, Rate
from gpucnn.backend import Array, Shape
from gpucnn.layers.base import Builder, Layer
from gpucnn.ops.activation import Function
from gpucnn.ops.batch_norm_activation import Running
from gpucnn.ops.batch_norm_max_pool2d import Pooling
from gpucnn.ops.batch_norm_max_pool2d import Saved as Maxima
from gpucnn.random import Step


class BatchNorm(Layer, name="batch_norm"):
    """Batch normalisation of each channel, the last axis; the maths is in `gpucnn.ops.batch_norm`.

    momentum: the weight of a batch in the running statistics: mean <- (1 - momentum) mean + momentum mean of the
    batch; the variance alike, with the batch's estimate of the data's variance (divided by M - 1, as PyTorch does).
    eps: added to variances. gamma starts at 1, beta at 0; neither decays.
    """

    transparent = True
    ending = "batch_norm_activation.batch_norm_activation_train"

    def __init__(self, momentum: Rate = 0.1, eps: NonNegativeFloat = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps

    def build(self, shape: Shape, builder: Builder) -> None:
        """Make gamma, beta, and the running mean and variance, (C,) each."""
        super().build(shape, builder)
        channels = shape[-1:]
        self.params = {"gamma": builder.constant(channels, 1.0), "beta": builder.constant(channels, 0.0)}
        self.params["beta"].shifts_norm = True
        self.state = {"mean": builder.array(channels, 0.0), "var": builder.array(channels, 1.0)}

    def forward(
        self,
        x: Array,
        *,
        train: Step | None = None,
        function: Function | None = None,
        z: Array | None = None,
        pooling: Pooling | None = None,
    ) -> tuple[Array, Any]:
        """Return y, or f(y + z), or the maxima of y; while training, take the batch into the running statistics."""
        if train is None:
            return ops.batch_norm_activation_eval(x, *self.given(), function, z), None
        of_batch, running = self.of_batch()
        if pooling:
            gamma, beta, eps = of_batch
            return ops.batch_norm_max_pool2d_train(x, gamma, beta, pooling, eps, running)
        y, _, _, saved = ops.batch_norm_activation_train(x, *of_batch, function, z, running)
        return y, saved

    def of_batch(self) -> tuple[tuple[Array, Array, float], Running]:
        """Return gamma, beta and eps, which training goes by, and the running statistics, which take in the batch."""
        gamma, beta = self.params["gamma"].value, self.params["beta"].value
        return (gamma, beta, self.eps), Running(self.state["mean"], self.state["var"], self.momentum)

    def given(self) -> tuple[Array, Array, Array, Array, float]:
        """Return gamma, beta, the running mean and variance, and eps: what evaluation goes by."""
        gamma, beta = self.params["gamma"].value, self.params["beta"].value
        return gamma, beta, self.state["mean"], self.state["var"], self.eps

    def backward(self, dy: Array, saved: Any) -> Array:
        """Return dx, and add dgamma and dbeta."""
        return self.backward_added(dy, saved)[0]

    def backward_added(self, dy: Array, saved: Any) -> tuple[Array, Array | None]:
        """Return dx, and dz where z was added; add dgamma and dbeta."""
        if isinstance(saved, Maxima):
            dx, dgamma, dbeta = ops.batch_norm_max_pool2d_backward(dy, saved)
            dz = None
        else:
            dx, dgamma, dbeta, dz = ops.batch_norm_activation_backward(dy, saved)
        self.params["gamma"].accumulate(dgamma)
        self.params["beta"].accumulate(dbeta)
        return dx, dz
