"""Memory that does not suffice, told by the layer that wanted it."""

from __future__ import annotations

from typing import Protocol

from gpucnn.errors import OutOfMemory


class HasPath(Protocol):
    """What is needed of a layer."""

    @property
    def path(self) -> str:
        """Where it stands in the network."""


class memory_for:  # noqa: N801 - a context, and cheaper than one made of a generator
    """While entered, memory that does not suffice is an OutOfMemory that names the layer; other errors note it."""

    def __init__(self, layer: HasPath) -> None:
        self._layer = layer

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MemoryError) and not isinstance(error, OutOfMemory):
            raise OutOfMemory(f"out of memory in layer {self._layer.path}: {error}") from None
        if error is not None and not hasattr(error, "__notes__"):
            error.add_note(f"layer {self._layer.path}:")
