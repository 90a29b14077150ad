"""What layers say of shapes that do not fit: in words of one image, and with the place in the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gpucnn.backend import Shape
from gpucnn.errors import ArgumentError, ShapeError


def text(shape: Shape) -> str:
    """Return one image's shape as messages and tables show it.

    >>> text((28, 28, 1))
    '28x28x1'
    """
    return "x".join(map(str, shape))


def require_image(name: str, shape: Shape) -> None:
    """Raise ShapeError unless `shape` is that of an image, (H, W, C)."""
    if len(shape) != 3:
        raise ShapeError(
            f"{name} needs images (H, W, C), but {text(shape)} comes in: "
            "put it before flatten, dense and global pooling"
        )


@contextmanager
def shapes_that_fit() -> Iterator[None]:
    """Turn an argument that an operation refuses for a shape's sake (groups, padding) into a ShapeError."""
    try:
        yield
    except ShapeError:
        raise
    except ArgumentError as error:
        raise ShapeError(str(error)) from None


@contextmanager
def located(*where: str | int) -> Iterator[None]:
    """Put `where` before the location of a ShapeError."""
    try:
        yield
    except ShapeError as error:
        raise ShapeError(str(error), (*where, *error.location)) from None
