"""Reader of arrays in a .npz file: mapped in place where they are stored plain, loaded where they are compressed.

A .npz is a zip archive of .npy files. A member that is stored, not compressed, lies in the archive byte for byte as
it is, behind the member's own header: its numbers can be memory-mapped there. Pickled objects are never loaded.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.data.checks import damaged, reading
from gpucnn.data.mapped import MappedArray
from gpucnn.errors import DataError

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., length of the name, length of the extra field


@dataclass(frozen=True)
class Member:
    """An array in an archive. start: where its numbers begin within the member."""

    info: zipfile.ZipInfo
    dtype: np.dtype[Any]
    shape: Shape
    fortran: bool
    start: int


class NpzFile:
    """The arrays of one .npz file by name. Opening it reads its directory alone.

    Raises DataError for whatever is wrong with the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._archive() as archive:
            self.names = {name.removesuffix(".npy") for name in archive.namelist()}

    def member(self, name: str) -> Member:
        """Return what the header of the array `name` says."""
        with self._archive() as archive:
            return self._member(archive, name)

    def mapped(self, name: str) -> Array | MappedArray:
        """Return an array: memory-mapped where it is stored plain, else loaded."""
        with self._archive() as archive:
            member = self._member(archive, name)
            if member.info.compress_type == zipfile.ZIP_STORED and 0 not in member.shape:
                offset = self._offset(member.info) + member.start
                return MappedArray(self.path, member.dtype, member.shape, offset, fortran=member.fortran)
            return self._load(archive, member)

    def loaded(self, name: str) -> Array:
        """Return an array in memory, checked against the checksum in the archive."""
        with self._archive() as archive:
            return self._load(archive, self._member(archive, name))

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        with reading(self.path):
            try:
                with zipfile.ZipFile(self.path) as archive:
                    yield archive
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError, struct.error, ValueError) as error:
                raise DataError(f"{self.path}: not a sound .npz (zip) file: {error}; save or copy it again") from None

    def _member(self, archive: zipfile.ZipFile, name: str) -> Member:
        info = archive.getinfo(f"{name}.npy")
        with archive.open(info) as file:
            shape, fortran, dtype = self._header(file, name)
            member = Member(info, dtype, shape, fortran, file.tell())
        numbers = math.prod(shape) * dtype.itemsize
        if info.file_size != member.start + numbers:
            expected = f"{numbers} bytes for {' x '.join(map(str, shape))} numbers of {dtype}"
            raise damaged(self.path, f"array {name!r}", expected, info.file_size - member.start)
        return member

    def _header(self, file: IO[bytes], name: str) -> tuple[Shape, bool, np.dtype[Any]]:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
        except (OSError, zipfile.BadZipFile):
            raise
        except Exception as error:  # NumPy parses the header as Python text: damage shows as whatever that raises
            raise damaged(self.path, f"array {name!r}", "the header of a .npy file", f"{error}") from None
        if dtype.hasobject:
            raise damaged(self.path, f"array {name!r}", "numbers", "Python objects (pickled), which are never loaded")
        return shape, fortran, dtype

    def _offset(self, info: zipfile.ZipInfo) -> int:
        """Return where the content of a stored member begins in the file."""
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            signature, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            end = file.seek(0, 2)
        offset = info.header_offset + _LOCAL_HEADER.size + int(name) + int(extra)
        if signature != b"PK\x03\x04" or info.compress_size != info.file_size or offset + info.file_size > end:
            raise zipfile.BadZipFile(f"{info.filename} does not lie where the directory says")
        return offset

    def _load(self, archive: zipfile.ZipFile, member: Member) -> Array:
        with archive.open(member.info) as file:
            file.read(member.start)
            numbers = file.read()  # to the end: there the checksum is compared
        if len(numbers) != member.info.file_size - member.start:
            raise zipfile.BadZipFile(f"{member.info.filename} is truncated")
        return np.frombuffer(numbers, member.dtype).reshape(member.shape, order="F" if member.fortran else "C")
