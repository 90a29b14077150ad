"""Files that are whole or not there: written beside, synced to the disk, then renamed over the old one."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpucnn.errors import GpucnnError, RunError

TEMPORARY = ".tmp"
"""How the name of a file under way ends; one that a killed process left behind may be deleted."""


def write_atomically(path: Path, *data: bytes | memoryview, error: type[GpucnnError] = RunError) -> None:
    """Write `data`, in pieces, to `path`: the old file or the new one is whole after a crash at any moment.

    So it is on a full disk. Raises `error`, with the system's reason, where it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        with beside.open("wb") as file:
            file.writelines(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as reason:
        raise error(
            f"cannot write {path} ({sum(map(len, data)):,} bytes): {reason.strerror or reason}; "
            "what was there before is unchanged: make room or choose another folder"
        ) from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """Return what a JSON file of a run holds; raises RunError where it is damaged, OSError where it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError(f"{path} is not JSON: {error}; `gpucnn train --resume` writes it again") from None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut, where its file system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
