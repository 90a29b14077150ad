"""Checkpoints: what is written is read; no byte changes unnoticed; a full disk leaves the old one whole."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from gpucnn.errors import CheckpointError
from gpucnn.training.checkpoint import _DTYPES, Checkpoint, Progress

CHECKPOINT = Checkpoint(
    weights={"0.conv2d.w": np.arange(6, dtype=np.float32).reshape(2, 3), "1.batch_norm.mean": np.array([np.inf, -0.0])},
    optimizer={"velocity:0.conv2d.w": np.ones((2, 3), np.float32)},
    progress=Progress(step=7, epoch=1, batch=2, images=32, loss_sum=0.1 + 0.2, correct=5, best=0.3, best_epoch=1),
    config={"name": "a", "note": '"sha256":"' + "0" * 64 + '"', "rate": 1e-3},
    classes=("null", "één"),
    input_shape=(8, 8, 1),
    image_dtype="uint8",
    normalize={"mean": [0.1], "std": [0.2]},
    versions={"numpy": "2"},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "step-00000007.safetensors"
    CHECKPOINT.write(path)
    return path


def test_what_is_written_is_read(path: Path) -> None:
    found = Checkpoint.read(path)
    for mine, theirs in ((CHECKPOINT.weights, found.weights), (CHECKPOINT.optimizer, found.optimizer)):
        assert mine.keys() == theirs.keys()
        for key, array in mine.items():
            assert (theirs[key].dtype, theirs[key].shape) == (array.dtype, array.shape)
            assert theirs[key].tobytes() == array.tobytes()
            assert theirs[key].flags.writeable
    assert replace(found, weights={}, optimizer={}) == replace(CHECKPOINT, weights={}, optimizer={})
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_other_programs_can_read_the_tensors(path: Path) -> None:
    tensors = safetensors.numpy.load_file(path)
    assert set(tensors) == {"model.0.conv2d.w", "model.1.batch_norm.mean", "optimizer.velocity:0.conv2d.w"}
    assert tensors["model.0.conv2d.w"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_tensors_of_every_kind_are_as_the_library_writes_and_reads_them(tmp_path: Path) -> None:
    """Also where numbers of 8 bytes come after an odd count of smaller ones: each begins where its kind may."""
    kinds = [key for key in _DTYPES if key != "bfloat16"]
    state = {f"{kind}:w": (np.arange(3) % 2).astype(kind).reshape(3, 1) for kind in kinds}
    replace(CHECKPOINT, optimizer=state).write(tmp_path / "c")
    found = safetensors.numpy.load_file(tmp_path / "c")
    for key, array in state.items():
        theirs = found[f"optimizer.{key}"]
        assert (theirs.dtype, theirs.tolist()) == (array.dtype, array.tolist())
    data = (tmp_path / "c").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    theirs = safetensors.numpy.save(found, header.pop("__metadata__"))
    known = json.loads(theirs[8 : 8 + int.from_bytes(theirs[:8], "little")])
    for key, entry in header.items():
        assert entry["dtype"] == known[key]["dtype"]
        assert entry["data_offsets"][0] % found[key].itemsize == 0


def test_scalars_keep_their_shape(tmp_path: Path) -> None:
    replace(CHECKPOINT, optimizer={"t": np.array(3.0)}).write(tmp_path / "c")
    assert Checkpoint.read(tmp_path / "c").optimizer["t"].shape == ()


def test_a_changed_byte_anywhere_is_noticed(path: Path) -> None:
    good = path.read_bytes()
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1 + position % 255
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"step-00000007.safetensors: .*earlier checkpoint"):
            Checkpoint.read(path)


def test_a_cut_or_longer_file_is_noticed(path: Path) -> None:
    good = path.read_bytes()
    for size in range(0, len(good), 7):
        path.write_bytes(good[:size])
        with pytest.raises(CheckpointError, match=r"cut short|not a safetensors"):
            Checkpoint.read(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(CheckpointError, match=f"expected {len(good):,} bytes, found {len(good) + 1:,}"):
        Checkpoint.read(path)


def test_a_digest_that_does_not_fit_is_named(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"damaged: expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}"):
        Checkpoint.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found 0"),
        (b"\x80\x04\x95pickle, not a checkpoint", "not a safetensors file"),
        (safetensors.numpy.save({"w": np.ones(3)}), "expected a file of format 'gpucnn checkpoint'"),
        (b"".join(CHECKPOINT.encode()).replace(b'"version":"1"', b'"version":"2"'), "expected version 1 .* found 2"),
        (b"".join(CHECKPOINT.encode()).replace(b'"sha256":', b'"sha257":'), "expected a sha256 digest"),
        ((8).to_bytes(8, "little") + b"[[[[[[[[", "not JSON"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"other: .*{message}"):
        Checkpoint.read(tmp_path / "other")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent: cannot read the checkpoint: No such file"):
        Checkpoint.read(tmp_path / "absent")


def test_a_full_disk_leaves_the_earlier_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*step-00000007.*No space left on device.*make room"):
        replace(CHECKPOINT, classes=()).write(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_write_that_the_system_stops_leaves_the_earlier_one(path: Path) -> None:
    before = path.read_bytes()
    program = f"""
import resource, pathlib, dataclasses
from gpucnn.training.checkpoint import Checkpoint
path = pathlib.Path({str(path)!r})
larger = dataclasses.replace(Checkpoint.read(path), classes=("x" * 100_000,))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
larger.write(path)
"""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "gpucnn.errors.CheckpointError: cannot write" in child.stderr
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
