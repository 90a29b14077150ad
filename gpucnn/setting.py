"""What may be chosen for a while: a value that holds for everything computed inside a `with`, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

T = TypeVar("T")


class Setting(Generic[T]):
    """A value, and other values for a while; each thread has its own, but those that `gpucnn.cpu.threads` lends.

    >>> colour = Setting("colour", "red")
    >>> with colour.using("blue"):
    ...     colour.get()
    'blue'
    >>> colour.get()
    'red'
    """

    def __init__(self, name: str, default: T) -> None:
        self._value: ContextVar[T] = ContextVar(name, default=default)
        self.get = self._value.get

    @contextmanager
    def using(self, value: T) -> Iterator[None]:
        """Let the value be this one while entered."""
        before = self._value.set(value)
        try:
            yield
        finally:
            self._value.reset(before)
