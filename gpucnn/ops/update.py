"""Steps of optimizers: the parameters' new values from their gradients, in place, element by element.

Each takes lists with one array a parameter, float32 or float64, so that an implementation may compute all of a network
at once. copies: the half copy of each parameter, or None where it has none; they are written as the values are. What a
step that is queued long before it runs has to read from the device is given as arrays, or None:

    numbers   what changes from step to step, in place of what lr and step say, see `gpucnn.rates`: in the dtype that
              sums have; the bits are those of the call with lr and step
    skip      int32 (1,): where it is not 0, nothing is changed
    unscale   float32 (1,): what the gradients are divided by first, a power of two: the scale of a loss
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpucnn.backend import Array, array_module
from gpucnn.dispatch import storing_operation
from gpucnn.errors import ArgumentError
from gpucnn.halves import Copies, is_half
from gpucnn.ops.cast import store_copies
from gpucnn.rates import adam_numbers, plain_numbers


@storing_operation
def sgd_update(
    values: list[Array], grads: list[Array], velocities: list[Array] | None, decayed: Sequence[bool], *, lr: float,
    momentum: float, decay: float, nesterov: bool, numbers: Array | None = None, skip: Array | None = None,
    unscale: Array | None = None, copies: Copies = None,
) -> None:  # fmt: skip
    """Take one step of stochastic gradient descent; velocities is None where there is no momentum m.

        g = grad + decay w      v = m v + g      w = w - lr v, or w - lr (g + m v) with Nesterov's momentum

    decayed: for each parameter whether weight decay applies.

    >>> import numpy as np
    >>> w, v = np.array([1.0]), np.array([0.0])
    >>> sgd_update([w], [np.array([0.5])], [v], [True], lr=0.1, momentum=0.9, decay=0.0, nesterov=False)
    >>> w, v
    (array([0.95]), array([0.5]))
    """
    _refuse_halves(values)
    if _skipped(skip):
        return
    (rate,) = plain_numbers(lr) if numbers is None else numbers
    for i, (value, grad, decays) in enumerate(zip(values, _unscaled(grads, unscale), decayed, strict=True)):
        velocity = None if velocities is None else velocities[i]
        _sgd(value, grad, velocity, rate, momentum, decay if decays else 0.0, nesterov)
    store_copies(values, copies)


def _sgd(
    value: Array, grad: Array, velocity: Array | None, lr: Any, momentum: float, decay: float, nesterov: bool
) -> None:
    if decay:
        grad = _decayed(value, grad, decay)
    change = grad
    if velocity is not None:
        velocity *= momentum
        velocity += grad
        change = velocity
        if nesterov:
            change = velocity * momentum
            change += grad
    value -= lr * change


@storing_operation
def adam_update(
    values: list[Array], grads: list[Array], means: list[Array], squares: list[Array], decayed: Sequence[bool], *,
    lr: float, step: int, beta1: float, beta2: float, eps: float, decay: float, decoupled: bool,
    numbers: Array | None = None, skip: Array | None = None, unscale: Array | None = None,
    copies: Copies = None,
) -> None:  # fmt: skip
    """Take one step of Adam, or of AdamW where the decay is `decoupled`; step t counts from 0.

    Adam: g = grad + decay w      AdamW: g = grad, w = (1 - lr decay) w first
    m = beta1 m + (1 - beta1) g   v = beta2 v + (1 - beta2) g^2
    w = w - lr m' / (sqrt(v') + eps)      m' = m / (1 - beta1^(t+1))      v' = v / (1 - beta2^(t+1))

    means, squares: m and v. decayed: for each parameter whether weight decay applies.
    """
    _refuse_halves(values)
    if _skipped(skip):
        return
    rate, root, keep = adam_numbers(lr, step, beta1, beta2, decay, decoupled) if numbers is None else numbers
    lists = (values, _unscaled(grads, unscale), means, squares, decayed)
    for value, grad, mean, square, decays in zip(*lists, strict=True):
        _adam(value, grad, mean, square, rate, root, keep, beta1, beta2, eps, decay if decays else 0.0, decoupled)
    store_copies(values, copies)


def _adam(
    value: Array, grad: Array, mean: Array, square: Array, rate: Any, root: Any, keep: Any, beta1: float,
    beta2: float, eps: float, decay: float, decoupled: bool,
) -> None:  # fmt: skip
    xp = array_module(value)
    if decay and decoupled:
        value *= keep
    elif decay:
        grad = _decayed(value, grad, decay)
    mean *= beta1
    mean += (1 - beta1) * grad
    square *= beta2
    change = xp.square(grad)
    change *= 1 - beta2
    square += change
    scale = xp.sqrt(square, out=change)
    scale /= root
    scale += eps
    change = xp.divide(mean, scale, out=scale)
    change *= rate
    value -= change


@storing_operation
def adagrad_update(
    values: list[Array], grads: list[Array], squares: list[Array], decayed: Sequence[bool], *, lr: float, eps: float,
    decay: float, numbers: Array | None = None, skip: Array | None = None, unscale: Array | None = None,
    copies: Copies = None,
) -> None:  # fmt: skip
    """Take one step of Adagrad.

        g = grad + decay w      s = s + g^2      w = w - lr g / (sqrt(s) + eps)

    squares: s, the sum of all squares so far. decayed: for each parameter whether weight decay applies.

    >>> import numpy as np
    >>> w, s = np.array([1.0]), np.array([0.0])
    >>> adagrad_update([w], [np.array([-2.0])], [s], [True], lr=0.1, eps=0.0, decay=0.0)
    >>> w, s
    (array([1.1]), array([4.]))
    """
    _refuse_halves(values)
    if _skipped(skip):
        return
    (rate,) = plain_numbers(lr) if numbers is None else numbers
    for value, grad, square, decays in zip(values, _unscaled(grads, unscale), squares, decayed, strict=True):
        _adagrad(value, grad, square, rate, eps, decay if decays else 0.0)
    store_copies(values, copies)


def _adagrad(value: Array, grad: Array, square: Array, lr: Any, eps: float, decay: float) -> None:
    xp = array_module(value)
    if decay:
        grad = _decayed(value, grad, decay)
    change = xp.square(grad)
    square += change
    scale = xp.sqrt(square, out=change)
    scale += eps
    change = xp.divide(grad, scale, out=scale)
    change *= lr
    value -= change


def _refuse_halves(values: list[Array]) -> None:
    if any(map(is_half, values)):
        raise ArgumentError("an update changes its arrays: keep them in float32 or float64, not halves")


def _skipped(skip: Array | None) -> bool:
    return skip is not None and bool(skip[0])


def _unscaled(grads: list[Array], unscale: Array | None) -> list[Array]:
    """Return the gradients divided by the scale, where there is one."""
    return grads if unscale is None else [grad / unscale[0] for grad in grads]


def _decayed(value: Array, grad: Array, decay: float) -> Array:
    """Return grad + decay w."""
    decayed = value * decay
    decayed += grad
    return decayed
