"""The folder of one run, which tells all about it. Each file is whole or not there, after a crash at any moment.

    config.yaml        the experiment, every default written out
    plans.json         by which kernels a GPU computed each pass; none of a run on the CPU
    environment.json   one entry for each process that worked on the run: versions, machine, threads, device
    metrics.jsonl      every epoch and every tenth step, one JSON object a line
    results.csv        every epoch, as a table
    checkpoints/       step-00001234.safetensors (the last two), best.safetensors (by validation),
                       epoch-0010.safetensors (those that `training.keep_every` keeps)
    evaluation.json    the final evaluation
    curves.png, confusion.png

`lock` is held by the process that writes the run.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpucnn.errors import CheckpointError, RunError
from gpucnn.files import TEMPORARY, write_atomically
from gpucnn.training.checkpoint import Checkpoint
from gpucnn.training.lock import Lock

RUNS = Path("runs")
"""Where runs go that were not told where, below the current folder."""
_STEP = re.compile(r"step-(\d{8,})\.safetensors")
_KEPT = 2


class RunFolder:
    """A run folder under this process's lock, to write in; `close` it at the end."""

    def __init__(self, path: Path, lock: Lock) -> None:
        self.path, self._lock = path, lock

    @classmethod
    def create(cls, name: str, path: Path | None = None) -> RunFolder:
        """Make the folder `path`, or the next free one of runs/NAME-1, runs/NAME-2, ...

        Two processes never get the same one. Raises RunError where `path` exists and is not an empty folder.
        """
        if path is None:
            path = _next_free(RUNS, name)
        else:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as reason:
                raise RunError(f"cannot make the run folder {path}: {reason.strerror}") from None
            require_free(path)
        try:
            folder = cls(path, Lock(path / "lock"))
        except RunError:
            with suppress(OSError):  # it is not empty: another process is at work there
                path.rmdir()
            raise
        try:
            require_free(path)  # nobody began and ended a run in it before the lock was ours
        except RunError:
            folder.close()
            raise
        return folder

    @classmethod
    def reopen(cls, path: Path) -> RunFolder:
        """Take the folder of a run that was begun; raises RunError where there is none or it is being written."""
        if not (path / "config.yaml").is_file():
            raise RunError(f"{path}: no run to resume (there is no config.yaml): leave out --resume to begin one here")
        folder = cls(path, Lock(path / "lock"))
        for stale in [*path.glob(f".*{TEMPORARY}"), *checkpoints(path).glob(f".*{TEMPORARY}")]:
            stale.unlink(missing_ok=True)
        return folder

    @property
    def resume_command(self) -> str:
        """The command that goes on with this run."""
        return f"gpucnn train --resume --run-dir {shlex.quote(str(self.path))}"

    def close(self) -> None:
        """Let other processes write this run; a folder in which no run was begun is removed."""
        if not (self.path / "config.yaml").exists():
            with suppress(OSError):
                (self.path / "lock").unlink()
                self.path.rmdir()
        self._lock.release()

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the run, whole or not at all."""
        write_atomically(self.path / name, text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the run, whole or not at all."""
        self.write_text(name, json.dumps(value, indent=2) + "\n")

    def add_environment(self, entry: dict[str, Any]) -> None:
        """Add the entry of this process to environment.json."""
        with suppress(OSError, ValueError):  # none yet, or not JSON any more
            before = json.loads((self.path / "environment.json").read_bytes())
            self.write_json("environment.json", [*before, entry])
            return
        self.write_json("environment.json", [entry])

    def save(self, checkpoint: Checkpoint, name: str = "") -> Path:
        """Write a checkpoint under a name, where it stays, or under its step, of which the last two stay."""
        path = checkpoints(self.path) / f"{name or f'step-{checkpoint.progress.step:08d}'}.safetensors"
        path.parent.mkdir(exist_ok=True)
        checkpoint.write(path)
        if checkpoint.plans:
            self.write_json("plans.json", checkpoint.plans)
        for old in by_step(self.path)[_KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def latest(self, damaged: list[str]) -> Checkpoint | None:
        """Return the last valid checkpoint, and None where none was written yet.

        Damaged ones after it are set aside (`.damaged` behind their names), so that they count no more among those
        kept; what is wrong with each is added to `damaged`. Raises CheckpointError where all are damaged.
        """
        found = latest(self.path, damaged)
        for path in by_step(self.path)[: len(damaged)]:
            path.replace(path.with_name(path.name + ".damaged"))
        return found[1] if found else None


def checkpoints(run: Path) -> Path:
    """Return where a run's checkpoints are."""
    return run / "checkpoints"


def by_step(run: Path) -> list[Path]:
    """Return the checkpoints of a run that are named by their step, the last one first."""
    named = [(int(match[1]), p) for p in checkpoints(run).glob("*") if (match := _STEP.fullmatch(p.name))]
    return [path for _, path in sorted(named, reverse=True)]


def latest(run: Path, damaged: list[str]) -> tuple[Path, Checkpoint] | None:
    """Return the last valid checkpoint of a run, None where there is no checkpoint at all.

    What is wrong with those after it is added to `damaged`; raises CheckpointError where no checkpoint is valid.
    """
    paths = by_step(run)
    for path in paths:
        try:
            return path, Checkpoint.read(path)
        except CheckpointError as error:
            damaged.append(str(error))
    if paths:
        raise CheckpointError(f"{run}: none of its {len(paths)} checkpoint(s) can be read:\n  " + "\n  ".join(damaged))
    return None


def _next_free(parent: Path, name: str) -> Path:
    """Make and return the first of parent/NAME-1, parent/NAME-2, ... that is free; mkdir decides between processes."""
    pattern = re.compile(re.escape(name) + r"-(\d+)")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        taken = [int(match[1]) for entry in parent.iterdir() if (match := pattern.fullmatch(entry.name))]
        for number in itertools.count(max(taken, default=0) + 1):
            path = parent / f"{name}-{number}"
            with suppress(FileExistsError):
                path.mkdir()
                break
    except OSError as reason:
        raise RunError(f"cannot make a run folder in {parent.absolute()}: {reason.strerror}; use --run-dir") from None
    return path


def require_free(path: Path) -> None:
    """Raise RunError where `path` is a folder with something in it: nothing is mixed with a run, or written over."""
    if path.is_dir() and any(entry.name != "lock" and not entry.name.endswith(TEMPORARY) for entry in path.iterdir()):
        raise RunError(
            f"{path} exists and is not empty: add --resume to go on with the run in it, "
            "or choose another --run-dir (without one, a new folder is made in runs/)"
        )
