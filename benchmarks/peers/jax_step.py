"""JAX's step with a network of gpucnn's: forward, loss, backward and update as one compiled function."""

from __future__ import annotations

import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # before JAX is imported: the memory is not its alone

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.networks import HALVES
from benchmarks.peers.base import LEARNING_RATE, Batch
from benchmarks.peers.jax_network import Network
from gpucnn.backend import Array
from gpucnn.config import Experiment
from gpucnn.errors import ArgumentError
from gpucnn.model import Model

PRODUCTS = {"float32": "highest", "float64": "highest", "tf32": "tensorfloat32"}
"""Precision of the config -> JAX's word for that of products."""


class Jax:
    """The network of `model`, with the weights that it has now, on JAX's default device; images lie there already.

    The arrays of a step are given away to it, so that it updates them in place. images: how many scores are asked of.
    """

    name = "JAX"
    steps = 1

    def __init__(self, experiment: Experiment, batch: Batch, model: Model, *, images: int | None = None) -> None:
        loss, optimizer = experiment.loss, experiment.optimizer
        if (loss.name, optimizer.name) != ("cross_entropy", "sgd"):
            raise ArgumentError(f"there is no {loss.name} with {optimizer.name} in the conversion to JAX")
        if loss.arguments.class_weights:
            raise ArgumentError("there are no class weights in the conversion to JAX")
        half = HALVES.get(experiment.precision)
        self._network = Network(model.layers.layers, None if half is None else jnp.dtype(half))
        self.x, self.labels = jnp.asarray(batch.x, half), jnp.asarray(batch.labels)
        self._few = images
        params = {name: jnp.asarray(p.value) for name, p in model.params.items()}
        velocity = jax.tree.map(jnp.zeros_like, params)
        self.arrays = (params, {name: jnp.asarray(array) for name, array in model.state.items()}, velocity)
        decayed = frozenset(n for n, p in model.params.items() if p.decay or optimizer.arguments.decay_all)
        self._products = PRODUCTS.get(experiment.precision, "default")
        step = partial(_step, self._network, loss.arguments.label_smoothing, optimizer.arguments, decayed)
        self._step = jax.jit(step, donate_argnums=0)
        self._evaluate = jax.jit(lambda arrays, x: self._network(*arrays[:2], x, train=False)[0])

    def prepare(self) -> None:
        """Set nothing."""

    def step(self) -> None:
        """Train on the batch; the device goes on after this has returned."""
        with jax.default_matmul_precision(self._products):
            self.arrays = self._step(self.arrays, self.x, self.labels)

    def scores(self) -> Array:
        """Return the scores of the batch, or of its first images, on the host."""
        with jax.default_matmul_precision(self._products):
            return np.asarray(self._evaluate(self.arrays, self.x[: self._few]))


def _step(
    network: Network, smoothing: float, sgd: Any, decayed: frozenset[str], arrays: Any, x: Any, labels: Any
) -> Any:
    params, state, velocity = arrays

    def loss(params: Any) -> tuple[Any, Any]:
        scores, after = network(params, state, x, train=True)
        logarithms, classes = jax.nn.log_softmax(scores), scores.shape[-1]
        targets = (1 - smoothing) * jax.nn.one_hot(labels, classes, dtype=scores.dtype) + smoothing / classes
        return -(targets * logarithms).sum(-1).mean(), after

    grads, state = jax.grad(loss, has_aux=True)(params)
    new, moved = {}, {}
    for name, w in params.items():
        g = grads[name] + (sgd.weight_decay * w if name in decayed else 0.0)
        moved[name] = sgd.momentum * velocity[name] + g
        new[name] = w - LEARNING_RATE * (g + sgd.momentum * moved[name] if sgd.nesterov else moved[name])
    return new, state, moved
