"""The parts of `python -m benchmarks gpu`: each runs in a process of its own, so that none takes the others with it."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from benchmarks.gpu.networks import CASES
from benchmarks.machine import ROOT
from benchmarks.processes import PYTHON

TAIL = 60
"""How many lines of a part's output are kept."""

_SYNTHETIC = "data.dataset={{synthetic: {{size: {size}, channels: {channels}, train: 512, test: 64}}}}"
_SMALL_MNIST = [_SYNTHETIC.format(size=28, channels=1), "data.batch_size=32"]
_SMALL_CIFAR = [_SYNTHETIC.format(size=32, channels=3), "data.batch_size=16", "data.validation=0"]
_FLOAT64 = "precision=float64"

COMPARISONS: dict[str, list[str]] = {
    "digits, float64": ["digits", _FLOAT64, "--steps", "20"],
    "digits, float32": ["digits", "--steps", "20"],
    "digits, kernels against references": ["digits", _FLOAT64, "--against", "reference", "--impl", "fast"],
    "LeNet-like, float64": ["mnist", *_SMALL_MNIST, _FLOAT64, "--steps", "3"],
    "LeNet-like, float32": ["mnist", *_SMALL_MNIST, "--steps", "3"],
    "ResNet-20, float64": ["cifar10", *_SMALL_CIFAR, _FLOAT64, "--steps", "2"],
    "ResNet-20, float32": ["cifar10", *_SMALL_CIFAR, "--steps", "2"],
}
"""Arguments of `gpucnn parity`; no data set has to be at hand."""

GOLDEN = "digits, float64"
"""The comparison that a golden file is written of, for machines without a GPU to compare with."""

SANITIZERS = ("memcheck", "racecheck")
_SANITIZED = ["tests/gpu/test_gpu_operations.py", "-k", "test_call and fast"]
_PLACES = ("/usr/local/cuda/bin", "/opt/cuda/bin")


GRACE = 30.0
"""Seconds that a process which measures has to end by itself, after its time, before it is stopped."""

RESTARTS = 8
"""How often a process is started again that a kernel has taken down: it goes on with what came next."""


@dataclass(frozen=True)
class Settings:
    """rounds, seconds: of what is timed. limit: seconds that a process may take. output: the file of all results.

    until: when the part has to end, by `time.monotonic`.
    """

    rounds: int = 5
    seconds: float = 0.03
    limit: float = 600.0
    output: Path | None = None
    until: float = math.inf

    def left(self, processes: int = 1) -> float:
        """Return the seconds for the next process, where so many of them share what is left."""
        return max(0.0, min(self.limit, (self.until - time.monotonic()) / processes))

    def beside(self, ending: str) -> Path | None:
        """Return a file beside that of the results."""
        return None if self.output is None else self.output.with_suffix(f".{ending}.json")


@dataclass
class Done:
    """A process that ended. code: its exit code, None where it was stopped. lines: the last of what it said."""

    code: int | None
    seconds: float
    lines: list[str] = field(default_factory=list)

    def dump(self) -> dict[str, Any]:
        """Return it as plain data: what it said only where it failed."""
        said = {} if self.code == 0 else {"output": self.lines}
        return {"exit_code": self.code, "seconds": self.seconds, **said}


def tests(settings: Settings) -> dict[str, Any]:
    """Run the tests marked gpu."""
    done = _run([*_pytest(), "-m", "gpu", "tests/gpu"], settings.left())
    return {**done.dump(), **_outcome(done)}


def comparisons(settings: Settings) -> dict[str, Any]:
    """Hold training on the GPU against NumPy's."""
    count = len(COMPARISONS)
    return {name: _comparison(name, settings, count - i) for i, name in enumerate(COMPARISONS)}


def in_one(settings: Settings, part: str) -> dict[str, Any]:
    """Measure all of a part in one process, and in another what is left where it has died of a kernel."""
    with _file(part, settings) as file:
        done, seconds = _measured(part, file, settings, settings.left()), 0.0
        for _ in range(RESTARTS):
            if done.code in (0, None) or not file.is_file():
                break
            seconds += done.seconds
            done = _measured(part, file, settings, settings.left())
        return {**done.dump(), "seconds": round(seconds + done.seconds, 1), **_known(file)}


def steps(settings: Settings, part: str = "steps") -> dict[str, Any]:
    """Time whole training steps: each network in a process of its own."""
    rows, began = [], time.monotonic()
    for i, case in enumerate(CASES):
        limit = settings.left(len(CASES) - i)
        if limit < 1:
            rows.append({"network": case.network, "precision": case.precision, "part": part, "left_out": ["all"]})
            continue
        with _file(part, settings) as file:
            done = _measured(part, file, settings, limit, case.name)
            known = _known(file).get("networks") or [{"network": case.network, "precision": case.precision}]
        ended = {} if done.code == 0 else {"error": _why(done), "output": done.lines[-TAIL:]}
        rows += [{"part": part, **row, **ended} for row in known]
    return {"exit_code": 0, "seconds": round(time.monotonic() - began, 1), "networks": rows}


def sanitizers(settings: Settings) -> dict[str, Any]:
    """Run the tests of the kernels under compute-sanitizer, where it is found."""
    tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=os.pathsep.join(_PLACES))
    if tool is None:
        return {"skipped": "compute-sanitizer is not found"}
    found = {}
    for name in SANITIZERS:
        command = [tool, "--tool", name, "--error-exitcode", "99", *_pytest(), "-m", "gpu", *_SANITIZED]
        done = _run(command, settings.left(), {"GPUCNN_GPU_POOL": "off"})
        summaries = [line.strip("= ") for line in done.lines if "SUMMARY" in line]
        found[name] = {**done.dump(), **_outcome(done), "summary": summaries[-1] if summaries else None}
    return found


PARTS: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "tests": tests,
    "tune": functools.partial(in_one, part="tune"),
    "steps": steps,
    "conv": functools.partial(in_one, part="conv"),
    "parity": comparisons,
    "jax": functools.partial(steps, part="jax"),
    "compiled": functools.partial(steps, part="compiled"),
    "sanitize": sanitizers,
}
"""In the order in which they run: what is most telling first, last what takes long."""

SHARES = {"tests": 4, "tune": 5, "steps": 6, "conv": 6, "parity": 2, "jax": 2, "compiled": 4, "sanitize": 2}
"""How the time is divided: what a part leaves is divided among those after it."""


def _pytest() -> list[str]:
    return [PYTHON, "-m", "pytest", "--require-gpu", "-p", "no:cacheprovider", "--no-header", "-q"]


def _outcome(done: Done) -> dict[str, Any]:
    """Return what pytest's last lines say: how many tests passed, failed, ..., and which ones failed."""
    counts = re.findall(r"(\d+) (passed|failed|skipped|errors?|deselected)\b", " ".join(done.lines[-8:]))
    failed = [line for line in done.lines if line.startswith(("FAILED", "ERROR "))]
    return {"tests": {name: int(count) for count, name in counts}, "failed": failed}


def _comparison(name: str, settings: Settings, left: int) -> dict[str, Any]:
    options = ["--device", "cuda", "--json"]
    if name == GOLDEN and (golden := settings.beside("golden")):
        options += ["--write", str(golden)]
    done = _run([PYTHON, "-m", "gpucnn", "parity", *COMPARISONS[name], *options], settings.left(left), quiet=True)
    try:
        report = json.loads("\n".join(done.lines[_first(done.lines, "{") :]))
    except ValueError:
        return {**done.dump(), "output": done.lines[-TAIL:]}
    typer.echo("  " + ("; ".join(report["problems"]) or "all agree"), err=True)
    return {"exit_code": done.code, "seconds": done.seconds, **report}


def _first(lines: Sequence[str], text: str) -> int:
    return next((i for i, line in enumerate(lines) if line == text), len(lines))


def _measured(part: str, file: Path, settings: Settings, limit: float, *names: str) -> Done:
    """Run a process that measures, and that is to end after `limit` seconds; it writes what it knows into a file."""
    timing = [f"{limit:.0f}", str(settings.rounds), str(settings.seconds)]
    return _run([PYTHON, "-m", "benchmarks.gpu", part, str(file), *timing, *names], limit + GRACE)


@contextmanager
def _file(part: str, settings: Settings) -> Iterator[Path]:
    """Yield a file for what a process knows: beside the results, so that it is left if all is stopped from outside."""
    file = settings.beside(f"{part}-so-far")
    with tempfile.TemporaryDirectory() as folder:
        yield file or Path(folder) / "known.json"
    if file:
        file.unlink(missing_ok=True)


def _known(file: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(file.read_bytes()) if file.is_file() else {}
    return known


def _why(done: Done) -> str:
    if done.code is None:
        return f"stopped after {done.seconds:.0f} s"
    return next((line for line in reversed(done.lines) if line.strip()), f"exit code {done.code}")


def _run(
    command: Sequence[str], limit: float, variables: Mapping[str, str] | None = None, *, quiet: bool = False
) -> Done:
    """Run a command in the project's folder, showing what it says unless `quiet`; stop it after `limit` seconds.

    Processes that it has started are stopped with it.
    """
    if limit <= 0:
        return Done(None, 0.0, ["there was no time left"])
    typer.echo(f"$ {' '.join(['python', *command[1:]] if command[0] == PYTHON else command)}", err=True)
    lines: deque[str] = deque(maxlen=None if quiet else 10 * TAIL)
    began, stopped = time.perf_counter(), threading.Event()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    environment = os.environ | {"PYTHONUNBUFFERED": "1", **(variables or {})}
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **pipes) as process:

        def stop() -> None:
            stopped.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit, stop)
        timer.start()
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip("\n"))
                if not quiet:
                    typer.echo(f"  {lines[-1]}", err=True)
            code = process.wait()
        except BaseException:  # such as an interrupt, which a session of its own does not see
            stop()
            raise
        finally:
            timer.cancel()
    return Done(None if stopped.is_set() else code, round(time.perf_counter() - began, 1), list(lines))
