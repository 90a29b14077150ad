"""The one place that decides which implementation of an operation runs, and can say why.

Every operation of `gpucnn.ops` is written once in array-module code: the reference, which runs on NumPy and CuPy and
is what a reader reads. Beside it, for the arrays of one array module, there may be a faster one: a function of the
same name (without a leading underscore), in the module of the same name, in the package that `ROOMS` gives for the
array module. That is all it takes to register it; it returns what the reference returns, so that any forward pairs
with any backward, and raises NotApplicable, before it has done anything, for what it cannot do.

Public operations check their arguments first and dispatch then, so that no implementation has to check them again.

Halves are widened to float32 for the reference, and for the rooms in `IN_FLOAT32`; kernels take them as they are.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, get_args

from gpucnn.backend import array_module
from gpucnn.errors import ArgumentError
from gpucnn.halves import in_float32
from gpucnn.setting import Setting

P = ParamSpec("P")
R = TypeVar("R")

Impl = Literal["auto", "reference", "fast"]
"""auto: the faster implementation where it applies, else the reference. fast: the same, but an error where it does not
apply. reference: always the reference."""

ROOMS: dict[str, str] = {"numpy": "gpucnn.cpu", "cupy": "gpucnn.cuda"}
"""Array module -> the package that holds faster implementations for its arrays."""

IN_FLOAT32 = ("gpucnn.cpu",)
"""Rooms whose functions are given halves in float32, and whose results are rounded."""

_Widening = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What makes a function take halves."""

_impl: Setting[Impl] = Setting("impl", "auto")
_log: Setting[list[Decision] | None] = Setting("log", None)


class NotApplicable(Exception):  # noqa: N818 - no error: the reference runs instead
    """Raised by a faster implementation for arguments that it does not take; its text says why."""


@dataclass(frozen=True)
class Decision:
    """Which implementation of an operation ran: `reference`, or the package of the faster one; why not the faster."""

    operation: str
    implementation: str
    reason: str = ""


def operation(reference: Callable[P, R]) -> Callable[P, R]:
    """Make a function over arrays an operation: where a faster implementation takes its arguments, that one runs."""
    return _dispatched(reference, in_float32)


def mixed_operation(reference: Callable[P, R]) -> Callable[P, R]:
    """Make a function an operation whose first result alone is rounded where it takes halves.

    The others, such as statistics and the gradients of parameters that are kept in float32, are float32.
    """
    return _dispatched(reference, functools.partial(in_float32, rounded=1))


def summing_operation(reference: Callable[P, R]) -> Callable[P, R]:
    """Make a function an operation whose results stay float32 where it takes halves: gradients of parameters."""
    return _dispatched(reference, functools.partial(in_float32, rounded=0))


def storing_operation(reference: Callable[P, R]) -> Callable[P, R]:
    """Make a function an operation that takes halves as they are, in every room."""
    return _dispatched(reference, _as_it_is)


def _as_it_is(function: Callable[P, R]) -> Callable[P, R]:
    return function


def _dispatched(reference: Callable[P, R], widening: _Widening) -> Callable[P, R]:
    file, name = reference.__module__.rpartition(".")[2], reference.__name__.lstrip("_")
    reference = widening(reference)

    @functools.wraps(reference)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if _impl.get() == "reference":
            return _ran(Decision(name, "reference", "impl is reference"), reference(*args, **kwargs))
        module = array_module(_first((*args, *kwargs.values()))).__name__
        room = ROOMS.get(module)
        faster = _find(room, file, name, widening if room in IN_FLOAT32 else _as_it_is)
        reason = f"there is no faster one for {module} arrays"
        if faster is not None:
            try:
                result: R = faster(*args, **kwargs)
                return _ran(Decision(name, ROOMS[module]), result)
            except NotApplicable as why:
                reason = str(why)
        if _impl.get() == "fast":
            raise ArgumentError(f"impl is fast, but {name} has to run by the reference: {reason}")
        return _ran(Decision(name, "reference", reason), reference(*args, **kwargs))

    return call


def composition(reference: Callable[P, R]) -> Callable[P, R]:
    """Make a function that calls operations one itself, where the room of its arrays computes them all at once.

    Elsewhere it is what it says, and each of the operations that it calls is dispatched.
    """
    file, name = reference.__module__.rpartition(".")[2], reference.__name__.lstrip("_")

    @functools.wraps(reference)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        room = ROOMS.get(array_module(args[0]).__name__)
        at_once = None if _impl.get() == "reference" else _find(room, file, name)
        if at_once is not None:
            try:
                result: R = at_once(*args, **kwargs)
                return _ran(Decision(name, str(room)), result)
            except NotApplicable:
                pass
        return reference(*args, **kwargs)

    return call


def using(impl: Impl) -> AbstractContextManager[None]:
    """Choose implementations in this way while entered.

    >>> import numpy as np
    >>> from gpucnn import ops
    >>> with using("reference"):
    ...     ops.relu(np.array([-1.0, 1.0]))
    array([0., 1.])
    """
    if impl not in get_args(Impl):
        raise ArgumentError(f"impl (={impl!r}) must be one of {', '.join(get_args(Impl))}")
    return _impl.using(impl)


@contextmanager
def recorded() -> Iterator[list[Decision]]:
    """Note every decision while entered, in the order in which operations end.

    >>> import numpy as np
    >>> from gpucnn import ops
    >>> with recorded() as decisions:
    ...     _ = ops.tanh(np.zeros(1))
    >>> print(decisions[0].operation, decisions[0].implementation, "-", decisions[0].reason)
    tanh reference - float32 only, not float64
    """
    decisions: list[Decision] = []
    with _log.using(decisions):
        yield decisions


def _first(value: Any) -> Any:
    """Return the first array of arguments, the first of which may be a list of arrays."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value


def _ran(decision: Decision, result: R) -> R:
    log = _log.get()
    if log is not None:
        log.append(decision)
    return result


@functools.cache
def _find(room: str | None, file: str, name: str, widening: _Widening = _as_it_is) -> Callable[..., Any] | None:
    """Return the function `name` of the module `file` of a package, None where there is none."""
    if room is None or importlib.util.find_spec(f"{room}.{file}") is None:
        return None
    found: Callable[..., Any] | None = getattr(importlib.import_module(f"{room}.{file}"), name, None)
    return None if found is None else widening(found)
