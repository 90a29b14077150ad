"""Checks that every reader shares, and the one form of message for data that fail them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gpucnn.backend import Array
from gpucnn.errors import DataError


def damaged(file: Any, where: str, expected: Any, found: Any, remedy: str = "") -> DataError:
    """Return the error for data that are not what they should be.

    >>> print(damaged("a.idx", "byte 0", "magic 0x00000801", "0x1f8b0808"))
    a.idx: byte 0: expected magic 0x00000801, found 0x1f8b0808
    """
    return DataError(f"{file}: {where}: expected {expected}, found {found}" + (f"; {remedy}" if remedy else ""))


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn whatever the system or a decompressor says about `file` into a DataError that names it."""
    try:
        yield
    except EOFError:
        raise DataError(f"{file}: the file ends too early: it is truncated; fetch or copy it again") from None
    except zlib.error as error:
        raise DataError(f"{file}: the compressed data are damaged ({error}); fetch or copy it again") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None


def checked_labels(values: Array, classes: int, file: Any, offset: int | None = None, stride: int = 1) -> Array:
    """Return labels as int64 once each is known to be in 0 .. classes - 1.

    offset, stride: the byte in `file` at which the first label stands, and from one label to the next.
    """
    wrong = np.flatnonzero((values < 0) | (values >= classes))
    if wrong.size:
        index = int(wrong[0])
        byte = "" if offset is None else f" (byte {offset + index * stride})"
        raise damaged(file, f"label of image {index}{byte}", f"0 to {classes - 1}", int(values[index]))
    return np.asarray(values, np.int64)


def check_counts(images: int, labels: int, image_file: Any, label_file: Any) -> None:
    """Raise DataError unless there are as many labels as images, and at least one."""
    if images != labels:
        raise damaged(label_file, "number of labels", f"{images}, as many as images in {image_file}", labels)
    if not images:
        raise damaged(image_file, "number of images", "at least 1", 0)


def check_finite(images: Array, indices: Sequence[int] | Array, file: Any) -> None:
    """Raise DataError at the first image that holds an infinity or a NaN. images: (N, ...), those at `indices`."""
    finite = np.isfinite(images)
    if finite.all():
        return
    row, *pixel = (int(axis[0]) for axis in np.nonzero(~finite))
    raise damaged(file, f"image {int(indices[row])}, pixel {tuple(pixel)}", "a finite number", images[row, *pixel])
