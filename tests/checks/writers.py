"""Writers of the formats that gpucnn reads, made from their descriptions alone."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np


def idx_bytes(numbers: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{numbers.ndim}I", 0, 0, 8, numbers.ndim, *numbers.shape)
    return head + numbers.astype(np.uint8).tobytes()


def write_idx(path: Path, numbers: np.ndarray) -> Path:
    raw = idx_bytes(numbers)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw, 1) if path.suffix == ".gz" else raw)
    return path


def write_mnist(folder: Path, train: int = 20, test: int = 10, ending: str = "-idx{}-ubyte.gz") -> Path:
    """Write four files whose image i is filled with i (or 100 + i for testing) and has the label i mod 10."""
    for stem, count, base in (("train", train, 0), ("t10k", test, 100)):
        numbers = np.arange(count, dtype=np.uint8)
        images = np.broadcast_to((base + numbers)[:, None, None], (count, 28, 28))
        write_idx(folder / f"{stem}-images{ending.format(3)}", images)
        write_idx(folder / f"{stem}-labels{ending.format(1)}", numbers % 10)
    return folder


def write_cifar(path: Path, records: int, width: int, first: dict[int, bytes] | None = None) -> Path:
    """Write a sparse file of zeros, with the bytes that `first` says at the beginning of some records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(records * width)
        for record, content in (first or {}).items():
            file.seek(record * width)
            file.write(content)
    return path


def write_cifar10(folder: Path) -> Path:
    for number in range(1, 6):
        write_cifar(folder / f"data_batch_{number}.bin", 10_000, 3073)
    write_cifar(folder / "test_batch.bin", 10_000, 3073)
    return folder


def write_cifar100(folder: Path) -> Path:
    write_cifar(folder / "train.bin", 50_000, 3074)
    write_cifar(folder / "test.bin", 10_000, 3074)
    return folder
