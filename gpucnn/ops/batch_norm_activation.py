"""Batch normalisation with what stands around it: another array that is added, an activation, running statistics.

    y = f(v + z)      v = gamma (x - mean) / sqrt(var + eps) + beta      z: what a residual block adds; none by default

    g = dy f'(v + z)      dz = g      dx, dgamma and dbeta are those of `batch_norm_backward`, given g

Compositions: where a room computes them at once, the images pass through memory fewer times, and the same numbers come
out. `gpucnn.ops.batch_norm` has the maths of v.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucnn.backend import Array, Shape
from gpucnn.dispatch import composition
from gpucnn.errors import ShapeError
from gpucnn.ops import batch_norm
from gpucnn.ops.activation import Function
from gpucnn.ops.add import add_activation
from gpucnn.ops.batch_norm import batch_norm_backward, batch_norm_eval, batch_norm_train


class Running(NamedTuple):
    """Running statistics, changed in place: s <- (1 - momentum) s + momentum times that of the batch.

    The batch's estimate of the data's variance, divided by M - 1, is taken.
    """

    mean: Array
    var: Array
    momentum: float

    def take(self, mean: Array, var: Array, count: int) -> None:
        """Take in a batch's mean and variance, of `count` elements a channel."""
        for running, batch in ((self.mean, mean), (self.var, var * (count / (count - 1)))):
            running *= 1 - self.momentum
            running += self.momentum * batch


class Saved(NamedTuple):
    """What the backward pass needs.

    kept: of v + z and y what f's backward looks at; None where they can be had from x anew. z: whether another
    array was added.
    """

    norm: batch_norm.Saved
    beta: Array
    kept: tuple[Array, Array] | None
    function: Function | None
    z: bool


def batch_norm_activation_train(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float = 1e-5,
    function: Function | None = None,
    z: Array | None = None,
    running: Running | None = None,
) -> tuple[Array, Array, Array, Saved]:
    """Return y, the batch's mean and variance, and what `batch_norm_activation_backward` needs.

    x, gamma, beta, eps: as in `batch_norm_train`. z: of the shape of x. running: takes in the batch.

    >>> import numpy as np
    >>> from gpucnn.ops.activation import RELU
    >>> x, one = np.array([[1.0], [3.0]]), np.ones(1)
    >>> batch_norm_activation_train(x, one, 0 * one, eps=0.0, function=RELU, z=x)[0].ravel()
    array([0., 4.])
    """
    batch_norm.check(x, gamma, beta, train=True)
    check_z(z, x.shape, x.dtype)
    y, mean, var, saved = _batch_norm_activation_train(x, gamma, beta, eps, function, z, running)
    return y, mean, var, named(saved)


@composition
def _batch_norm_activation_train(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    function: Function | None,
    z: Array | None,
    running: Running | None,
) -> tuple[Array, Array, Array, Saved]:
    y, mean, var, saved = batch_norm_train(x, gamma, beta, eps)
    if running is not None:
        running.take(mean, var, x.size // x.shape[-1])
    y, kept = _ended(y, function, z)
    return y, mean, var, Saved(saved, beta, kept, function, z is not None)


def batch_norm_activation_eval(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    eps: float = 1e-5,
    function: Function | None = None,
    z: Array | None = None,
) -> Array:
    """Return y for statistics that are given.

    >>> import numpy as np
    >>> from gpucnn.ops.activation import RELU
    >>> x, one = np.array([[2.0], [5.0]]), np.ones(1)
    >>> batch_norm_activation_eval(x, one, 0 * one, mean=3.5 * one, var=one, eps=0.0, function=RELU).ravel()
    array([0. , 1.5])
    """
    batch_norm.check(x, gamma, beta)
    check_z(z, x.shape, x.dtype)
    return _batch_norm_activation_eval(x, gamma, beta, mean, var, eps, function, z)


@composition
def _batch_norm_activation_eval(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    eps: float,
    function: Function | None,
    z: Array | None,
) -> Array:
    return _ended(batch_norm_eval(x, gamma, beta, mean, var, eps), function, z)[0]


def batch_norm_activation_backward(dy: Array, saved: Saved) -> tuple[Array, Array, Array, Array | None]:
    """Return dx, dgamma (C,), dbeta (C,), and dz where z was added, given dy and what the forward pass saved."""
    batch_norm.check_dy(dy, saved.norm)
    return _batch_norm_activation_backward(dy, saved)


@composition
def _batch_norm_activation_backward(dy: Array, saved: Saved) -> tuple[Array, Array, Array, Array | None]:
    function, kept, g = saved.function, saved.kept, dy
    if function is not None:
        g = function.backward(dy, kept or _anew(saved, function))
    return *batch_norm_backward(g, saved.norm), g if saved.z else None


def _ended(y: Array, function: Function | None, z: Array | None) -> tuple[Array, tuple[Array, Array] | None]:
    """Return f(y + z), and what f's backward looks at."""
    if z is not None:
        return add_activation(y, z, function)
    if function is None:
        return y, None
    before, y = y, function.forward(y)
    return y, function.kept(before, y)


def _anew(saved: Saved, function: Function) -> tuple[Array, Array]:
    """Return what is looked at of v and f(v): a room that computes all at once may not have written it down."""
    x, mean, inverse, gamma = saved.norm
    v = ((x - mean) * (gamma * inverse) + saved.beta).astype(x.dtype)
    return function.kept(v, function.forward(v))


def named(saved: tuple[Any, ...]) -> Saved:
    """Return what a room saved, by the names of its parts."""
    return Saved(batch_norm.Saved(*saved[0]), *saved[1:])


def check_z(z: Array | None, shape: Shape, dtype: Any) -> None:
    """Raise unless z, if it is there, is such as what it is added to."""
    if z is not None and (z.shape != shape or z.dtype != dtype):
        raise ShapeError(f"z has shape {z.shape} and dtype {z.dtype}: it must be those of x, {shape} and {dtype}")
