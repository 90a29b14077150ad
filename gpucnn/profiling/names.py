"""What a room computes with, by name: the kernels of gpucnn.cuda, gpucnn.cpu's algorithms for convolutions.

The dispatcher knows the room; what is chosen inside it is seen where it is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from gpucnn.cpu import conv2d, depthwise
from gpucnn.cuda import launch


@contextmanager
def named() -> Iterator[list[str]]:
    """While entered, note the names of kernels and algorithms as they are asked for, in what is yielded."""
    names: list[str] = []
    compilers: dict[str, Any] = launch.compilers
    with ExitStack() as stack:

        def note(place: dict[str, Any], key: str, name: Callable[[tuple[Any, ...], Any], str]) -> None:
            stack.enter_context(_replaced(place, key, _noting(names, place[key], name)))

        for module in list(compilers):
            note(compilers, module, lambda arguments, _: str(arguments[0].name))  # of (kernel, dtype)
        note(vars(conv2d), "_form", lambda _, chosen: str(chosen.__name__.removeprefix("gpucnn.cpu.")))
        for function in ("forward", "backward_weight"):
            note(vars(depthwise), function, lambda *_: "depthwise")
        yield names


def _noting(
    names: list[str], function: Callable[..., Any], name: Callable[[tuple[Any, ...], Any], str]
) -> Callable[..., Any]:
    def noting(*arguments: Any) -> Any:
        result = function(*arguments)
        names.append(name(arguments, result))
        return result

    return noting


@contextmanager
def _replaced(place: dict[str, Any], key: str, value: Any) -> Iterator[None]:
    """While entered, another value stands in a dictionary or in a module."""
    before, place[key] = place[key], value
    try:
        yield
    finally:
        place[key] = before
