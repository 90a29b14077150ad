"""Reader of IDX files, the format of MNIST: a big-endian header, then unsigned bytes; plain or compressed with gzip.

    byte 0-1  zero
    byte 2    type of the numbers: 0x08, unsigned byte, the only one that images and labels use
    byte 3    number of dimensions, n
    4 bytes   the size of each of the n dimensions
    the rest  the numbers, the last dimension fastest

Source: http://yann.lecun.com/exdb/mnist (Y. LeCun, C. Cortes, C. Burges).
"""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import IO, cast

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.data.checks import damaged, reading
from gpucnn.data.mapped import MappedArray

_UNSIGNED_BYTE = 0x08
_BEST_DEFLATE = 1032  # no deflate stream expands further than this


def read(path: Path, dimensions: int) -> Array | MappedArray:
    """Return the numbers of an IDX file: in memory where it is compressed, memory-mapped where it is not.

    Raises DataError for a file that cannot be read, has another magic number, or holds another number of bytes than
    its header says.
    """
    with reading(path), _open(path) as file:
        shape = _header(path, file, dimensions)
        offset, expected, size = file.tell(), math.prod(shape), path.stat().st_size
        if not _compressed(path):
            if size != offset + expected:
                raise _wrong_size(path, shape, offset + expected, size)
            return MappedArray(path, np.uint8, shape, offset) if expected else np.empty(shape, np.uint8)
        if expected > size * _BEST_DEFLATE:
            raise _wrong_size(path, shape, expected, f"{size} compressed, which cannot hold them")
        return _inflate(path, file, shape)


def read_shape(path: Path, dimensions: int) -> Shape:
    """Return the shape that the header states, without reading further."""
    with reading(path), _open(path) as file:
        return _header(path, file, dimensions)


def _header(path: Path, file: IO[bytes], dimensions: int) -> Shape:
    head = file.read(4 + 4 * dimensions)
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if head[:4] != magic:
        meaning = f"magic 0x{magic.hex()} (unsigned bytes, {dimensions} dimension{'s' * (dimensions > 1)})"
        raise damaged(path, "byte 0", meaning, f"0x{head[:4].hex()}" if head else "an empty file")
    if len(head) != 4 + 4 * dimensions:
        raise damaged(path, "header", f"{4 + 4 * dimensions} bytes", f"{len(head)}", "the file is truncated")
    return struct.unpack(f">{dimensions}I", head[4:])


def _inflate(path: Path, file: IO[bytes], shape: Shape) -> Array:
    numbers = np.empty(math.prod(shape), np.uint8)
    room, filled = numbers.data, 0
    while filled < len(numbers) and (count := cast(gzip.GzipFile, file).readinto(room[filled:])):
        filled += count
    if filled < len(numbers):
        raise _wrong_size(path, shape, len(numbers), filled)
    if file.read(1):  # this also reads, and checks, the checksum at the end
        raise _wrong_size(path, shape, len(numbers), f"more than {len(numbers)}")
    return numbers.reshape(shape)


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if _compressed(path) else path.open("rb")


def _compressed(path: Path) -> bool:
    return path.suffix == ".gz"


def _wrong_size(path: Path, shape: Shape, expected: int, found: int | str) -> Exception:
    what = f"{expected} bytes for the {' x '.join(map(str, shape))} numbers its header states"
    return damaged(path, "size", what, found, "fetch or copy it again")
