"""A checkpoint: everything that a run is at one step, in one safetensors file that proves itself whole.

The tensors are `model.PATH` (parameters and running statistics), `optimizer.SLOT:PATH` and, of a run in fp16,
`scaling.NAME`; weights are float32 where the network computes in halves. The safetensors metadata
holds the rest, each field of `Checkpoint` as JSON, and `sha256`: the digest of the whole file with the digest's own
64 digits written as zeros. Nothing in it is code, and no byte of it can change unnoticed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from gpucnn.backend import Array, Shape
from gpucnn.errors import CheckpointError
from gpucnn.files import write_atomically

FORMAT, VERSION = "gpucnn checkpoint", "1"
_NO_DIGEST = "0" * 64
_DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')  # quotes inside other fields' JSON are escaped: cannot match there


@dataclass
class Progress:
    """The counters of a run: with the seed, all there is to know about its random numbers.

    step: updates made. epoch: epochs finished. batch: batches done of the epoch under way, and of these batches
    the images, the sum of their losses, how many were classified right, the seconds they took and the seconds
    spent waiting for data. best: the best validation value so far, in epoch `best_epoch`; stale: epochs since.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    images: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0
    best: float | None = None
    best_epoch: int | None = None
    stale: int = 0

    def count(self, images: int, loss: float, correct: int, seconds: float, data_seconds: float) -> None:
        """Count one step."""
        self.step, self.batch, self.images = self.step + 1, self.batch + 1, self.images + images
        self.loss_sum, self.correct = self.loss_sum + loss * images, self.correct + correct
        self.seconds, self.data_seconds = self.seconds + seconds, self.data_seconds + data_seconds

    def next_epoch(self) -> None:
        """Close the epoch under way."""
        self.epoch, self.batch = self.epoch + 1, 0
        self.images, self.loss_sum, self.correct, self.seconds, self.data_seconds = 0, 0.0, 0, 0.0, 0.0


@dataclass(frozen=True)
class Checkpoint:
    """A run at one step: enough to go on with it exactly, and to predict without its data set.

    weights: every parameter and running statistic by path. optimizer: the optimizer's state. scaling: the loss scale's,
    in fp16. normalize: the statistics that images are normalised with, or None. image_dtype: what raw images are made
    of, such as uint8. plans: by what a GPU computed each task, as `gpucnn.tuning.choices.Choices` knows them.
    """

    weights: Mapping[str, Array]
    optimizer: Mapping[str, Array]
    progress: Progress
    config: dict[str, Any]
    classes: tuple[str, ...]
    input_shape: Shape
    image_dtype: str
    normalize: dict[str, Any] | None
    versions: dict[str, str] = field(default_factory=dict)
    scaling: Mapping[str, Array] = field(default_factory=dict)
    plans: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the checkpoint to `path`, whole or not at all; raises CheckpointError, as on a full disk."""
        write_atomically(path, *self.encode(), error=CheckpointError)

    def encode(self) -> list[bytes | memoryview]:
        """Return the checkpoint as the pieces of its file: what comes before the tensors, and the tensors themselves.

        The tensors are not copied: a network may fill much of the memory.
        """
        groups = {"model": self.weights, "optimizer": self.optimizer, "scaling": self.scaling}
        named = ((f"{kind}.{key}", np.asarray(x, order="C")) for kind, xs in groups.items() for key, x in xs.items())
        tensors = dict(sorted(named, key=lambda one: -one[1].itemsize))  # each begins where its kind may
        rest = {key: getattr(self, key) for key in _REST} | {"progress": dataclasses.asdict(self.progress)}
        metadata = {key: json.dumps(value) for key, value in rest.items()}
        header = _header(tensors, metadata | {"format": FORMAT, "version": VERSION, "sha256": _NO_DIGEST})
        data = [array.reshape(-1).view(np.uint8).data for array in tensors.values()]
        digest = _sha256(header, *data)
        return [header.replace(f'"sha256":"{_NO_DIGEST}"'.encode(), f'"sha256":"{digest}"'.encode(), 1), *data]

    @staticmethod
    def read(path: Path) -> Checkpoint:
        """Return the checkpoint in the file at `path`.

        Raises CheckpointError, with what was expected and what was found, where the file is missing, of another
        kind or version, cut short, or changed in any byte since it was written.
        """
        try:
            data = path.read_bytes()
        except OSError as reason:
            raise CheckpointError(f"{path}: cannot read the checkpoint: {reason.strerror}") from None
        try:
            return _decode(data)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}; use an earlier checkpoint of this run, or a copy") from None


_REST = [f.name for f in dataclasses.fields(Checkpoint) if f.name not in ("weights", "optimizer", "scaling")]
_LATER = ("plans",)
"""Fields that checkpoints have not had from the beginning."""
_DTYPES = {
    "float16": "F16", "float32": "F32", "float64": "F64", "bfloat16": "BF16", "bool": "BOOL",
    "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64",
}  # fmt: skip
"""The names of dtypes in a safetensors file."""


def _header(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """Return what a safetensors file of these tensors, in this order, begins with.

    The library's own `save` copies all tensors twice to say the same.
    """
    entries: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, array in tensors.items():
        start, end = end, end + array.nbytes
        entries[name] = {"dtype": _DTYPES[array.dtype.name], "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text


def _decode(data: bytes) -> Checkpoint:
    metadata = _metadata(data)
    found = _DIGEST.search(data)
    if found is None or metadata.get("sha256") != found[1].decode():
        raise CheckpointError("not whole: expected a sha256 digest in its metadata, found none")
    start, end = found.span(1)
    actual = _sha256(data[:start], _NO_DIGEST.encode(), memoryview(data)[end:])
    if actual != metadata["sha256"]:
        raise CheckpointError(f"damaged: expected sha256 {metadata['sha256']}, found {actual}")
    try:
        tensors = safetensors.numpy.load(data)
        rest = {key: json.loads(metadata[key]) for key in _REST if key in metadata or key not in _LATER}
        rest["progress"] = Progress(**rest["progress"])
        rest["classes"], rest["input_shape"] = tuple(rest["classes"]), tuple(rest["input_shape"])
        weights, optimizer, scaling = (_below(prefix, tensors) for prefix in ("model.", "optimizer.", "scaling."))
        return Checkpoint(weights=weights, optimizer=optimizer, scaling=scaling, **rest)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"not a checkpoint as gpucnn writes them ({error!r})") from None


def _metadata(data: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors file that is a checkpoint of this version and has the length it states.

    The file is: the length of the header, 8 bytes, little-endian; the header, JSON; the tensors, one after another.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise CheckpointError(
            f"not a safetensors file, or cut short: expected a header, found {len(data):,} bytes without one"
        )
    try:
        header = json.loads(data[8 : 8 + length])
        metadata: dict[str, str] = header.pop("__metadata__", {})
        expected = 8 + length + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError):
        raise CheckpointError("not a safetensors file, or damaged: its header is not JSON of that kind") from None
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise CheckpointError(f"expected a file of format {FORMAT!r}, found another kind of safetensors file")
    if metadata.get("version") != VERSION:
        raise CheckpointError(f"expected version {VERSION} of the format, found {metadata.get('version')}")
    if len(data) != expected:
        raise CheckpointError(
            f"cut short or longer than it should be: expected {expected:,} bytes, found {len(data):,}"
        )
    return metadata


def _below(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors whose names start with `prefix`, without it, as arrays of their own."""
    return {key.removeprefix(prefix): array.copy() for key, array in tensors.items() if key.startswith(prefix)}


def _sha256(*pieces: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
