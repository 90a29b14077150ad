from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from checks.writers import idx_bytes, write_idx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gpucnn.data import idx
from gpucnn.data.mapped import MappedArray
from gpucnn.errors import DataError

shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


@shared_folder
@given(arrays(np.uint8, array_shapes(max_dims=4, max_side=9)), st.sampled_from(["", ".gz"]))
def test_what_is_written_is_read(tmp_path, numbers, suffix):
    path = write_idx(tmp_path / f"numbers{suffix}", numbers)
    found = idx.read(path, numbers.ndim)
    assert found.shape == numbers.shape
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[:], numbers)
    assert idx.read_shape(path, numbers.ndim) == numbers.shape


def test_plain_files_are_mapped_and_compressed_ones_loaded(tmp_path):
    assert isinstance(idx.read(write_idx(tmp_path / "a", IMAGES), 3), MappedArray)
    assert isinstance(idx.read(write_idx(tmp_path / "a.gz", IMAGES), 3), np.ndarray)


@shared_folder
@given(st.data(), st.sampled_from(["", ".gz"]))
def test_a_truncated_file_is_refused(tmp_path, data, suffix):
    path = write_idx(tmp_path / f"cut{suffix}", IMAGES)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DataError, match=rf"cut{suffix}: "):
        idx.read(path, 3)


@shared_folder
@given(st.data(), st.sampled_from(["", ".gz"]))
def test_a_flipped_bit_is_refused_or_changes_nothing_but_a_pixel(tmp_path, data, suffix):
    path = write_idx(tmp_path / f"flipped{suffix}", IMAGES)
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    try:
        found = idx.read(path, 3)
    except DataError:
        return
    assert found.shape == IMAGES.shape
    assert suffix == "" or np.array_equal(found, IMAGES)  # gzip has a checksum


@shared_folder
@given(st.binary(max_size=60), st.sampled_from(["", ".gz"]), st.integers(1, 3))
def test_noise_is_refused(tmp_path, noise, suffix, dimensions):
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(gzip.compress(noise) if suffix else noise)
    try:
        found = idx.read(path, dimensions)
    except DataError:
        return
    assert idx_bytes(found[:]) == noise


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "byte 0: expected magic 0x00000803 .unsigned bytes, 3 dimensions., found an empty file"),
        (idx_bytes(IMAGES[0]), "byte 0: expected magic 0x00000803 .*, found 0x00000802"),
        (bytes([0, 0, 13, 3]) + bytes(12), "found 0x00000d03"),
        (idx_bytes(IMAGES)[:9], "header: expected 16 bytes, found 9"),
        (idx_bytes(IMAGES)[:-1], r"size: expected (60|76) bytes for the 5 x 4 x 3 numbers .*, found (59|75)"),
        (idx_bytes(IMAGES) + b"\0", r"size: expected (60|76) bytes .*, found (more than 60|77)"),
        (struct.pack(">4B3I", 0, 0, 8, 3, *[2**32 - 1] * 3), r"size: expected 79228162458924105385300197\d+ bytes"),
    ],
    ids=["empty", "labels", "float", "header", "short", "long", "huge"],
)
def test_messages(tmp_path, content, message, suffix):
    path = tmp_path / f"bad.idx{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(DataError, match=message) as error:
        idx.read(path, 3)
    assert str(error.value).startswith(f"{path}: ")


def test_what_is_not_gzip_is_refused(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(idx_bytes(IMAGES))
    with pytest.raises(DataError, match=r"cannot be read: Not a gzipped file"):
        idx.read(path, 3)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read: No such file"):
        idx.read(tmp_path / "none", 3)
    with pytest.raises(DataError, match=r"cannot be read: Is a directory"):
        idx.read(tmp_path, 3)
