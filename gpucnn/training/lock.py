"""A lock on a run folder: one process writes a run. The system drops it when its process ends, however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gpucnn.errors import RunError

if sys.platform != "win32":
    import fcntl


class Lock:
    """Holds the file `path`, which names the process that last held it, until `release`.

    The file itself means nothing: a stale one is no obstacle. Where the system has no flock (Windows), nothing is
    locked. Raises RunError where another process, or another run of this one, holds it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as reason:
            raise RunError(f"cannot write {path}: {reason.strerror}; choose another --run-dir") from None
        if sys.platform != "win32":
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                owner = os.read(self._handle, 20).decode(errors="replace").strip() or "unknown"
                self.release()
                raise RunError(
                    f"{path.parent}: another process (id {owner}) is writing this run: wait for it to end, "
                    "or choose another --run-dir"
                ) from None
        try:
            os.ftruncate(self._handle, 0)
            os.write(self._handle, f"{os.getpid()}\n".encode())
        except OSError as reason:
            path.unlink()
            self.release()
            raise RunError(f"cannot write {path}: {reason.strerror}; make room or choose another --run-dir") from None

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._handle)


def held(path: Path) -> bool:
    """Return whether a process holds the lock at `path` now; False where there is none, or the system has no flock."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(int(path.read_text()), 0)  # first: taking the lock to look could get in the way of a run that begins
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    except OSError:  # it is locked, or belongs to a process of another user
        return True
    return False
