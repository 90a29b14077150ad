"""What the tuner measured, on disk: a JSON file for each device and version of all that times depend on.

It is in the folder `tuned` of $GPUCNN_CACHE, or of the user's cache. Several processes may write it: each adds its
tasks to those that are there then, under a lock, and the file is replaced whole. A damaged file is set aside.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from gpucnn.backend import Device
from gpucnn.cuda import machine
from gpucnn.errors import RunError
from gpucnn.files import write_atomically
from gpucnn.resources import folder

if sys.platform != "win32":
    import fcntl

FORMAT = "gpucnn tuned plans 1"


@dataclass(frozen=True)
class Tuned:
    """A task's plans as measured, by their texts: the one to choose, the default one, and the seconds of each.

    failed: why plans could not be used.
    """

    plan: str
    default: str
    seconds: dict[str, float]
    failed: dict[str, str] = field(default_factory=dict)

    def runner_up(self, plan: str) -> str | None:
        """Return the fastest plan beside this one; None where there is no other."""
        return min((other for other in self.seconds if other != plan), key=self.seconds.__getitem__, default=None)


Table = dict[str, Tuned]
"""What was measured, by the texts of tasks."""


def identity(device: Device) -> dict[str, str]:
    """Return what times on a CUDA device depend on beside the task: the device, the driver, CuPy, the kernels."""
    found = machine.versions()
    name = machine.device(device.index)["name"]
    return {"device": name, "driver": found["driver"], "cupy": found["cupy"], "kernels": kernels_digest()}


def kernels_digest() -> str:
    """Return a digest of the kernels' sources and of the host side of their families."""
    digest = hashlib.sha256()
    families = Path(__file__).parents[1] / "cuda" / "families"
    for file in sorted([*folder("kernels").glob("*.cu*"), *families.glob("*.py")]):
        digest.update(f"{file.name}\0{file.read_text()}\0".encode())
    return digest.hexdigest()[:16]


class Cache:
    """What was measured on devices of one identity. tell: hears what is wrong with the file, if something is."""

    def __init__(self, identity: Mapping[str, str], tell: Callable[[str], object] = lambda text: None) -> None:
        self.identity, self._tell = dict(identity), tell
        name = re.sub(r"[^a-z0-9]+", "-", self.identity.get("device", "").lower()).strip("-")
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:12]
        self.path = cache_folder() / "tuned" / f"{name}-{digest}.json"

    def read(self) -> Table:
        """Return what was measured; nothing where nothing was, or, told, where the file cannot be read."""
        try:
            document = json.loads(self.path.read_bytes())
            if document["format"] != FORMAT or document["for"] != self.identity:
                raise ValueError("it is of another format or device")
            return {task: _tuned(row) for task, row in document["tasks"].items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._tell(f"tuned plans are not used: {self.path}: {error.strerror}")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self._set_aside(error)
        return {}

    def add(self, rows: Mapping[str, Tuned]) -> None:
        """Add what was measured to the file; raises RunError where it cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot make {self.path.parent}: {error.strerror}: choose another GPUCNN_CACHE") from None
        with _locked(self.path.with_suffix(".lock")):
            tasks = {task: asdict(row) for task, row in {**self.read(), **rows}.items()}
            document = {"format": FORMAT, "for": self.identity, "tasks": tasks}
            write_atomically(self.path, (json.dumps(document, indent=1) + "\n").encode())

    def _set_aside(self, error: Exception) -> None:
        aside = self.path.with_name(self.path.name + ".damaged")
        try:
            self.path.replace(aside)
            where = f"it is now {aside.name}"
        except OSError as reason:
            where = f"and cannot be set aside: {reason.strerror}"
        self._tell(
            f"tuned plans are not used: {self.path} is damaged ({error}): {where}; `gpucnn tune` makes a new one"
        )


def cache_folder() -> Path:
    """Return $GPUCNN_CACHE, or the folder of the user's cache that is gpucnn's."""
    given = os.environ.get("GPUCNN_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("gpucnn"))


def _tuned(row: dict[str, Any]) -> Tuned:
    """Return a row of the file; raises where it is none."""
    found = Tuned(**row)
    if not isinstance(found.failed, dict) or not {found.plan, found.default} <= {*found.seconds, *found.failed}:
        raise ValueError("a plan that was not measured")
    if not all(isinstance(seconds, float) and seconds > 0 for seconds in found.seconds.values()):
        raise ValueError("a time that is none")
    return found


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait until no other process is in here; where the system has no flock (Windows), do not."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}: choose another GPUCNN_CACHE") from None
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
