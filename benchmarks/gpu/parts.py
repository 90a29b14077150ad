"""The parts of `python -m benchmarks gpu`: each runs in a process of its own, so that none takes the others with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

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


@dataclass(frozen=True)
class Settings:
    """rounds, seconds: of what is timed. limit: seconds that a process may take. golden: where to put a golden file."""

    rounds: int = 7
    seconds: float = 0.05
    limit: float = 600.0
    golden: Path | None = None


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
    done = _run([*_pytest(), "-m", "gpu", "tests/gpu"], settings.limit)
    return {**done.dump(), **_outcome(done)}


def comparisons(settings: Settings) -> dict[str, Any]:
    """Hold training on the GPU against NumPy's."""
    return {name: _comparison(name, settings) for name in COMPARISONS}


def convolutions(settings: Settings) -> dict[str, Any]:
    """Time single passes of convolutions."""
    return _measured("conv", settings)


def steps(settings: Settings) -> dict[str, Any]:
    """Time whole training steps."""
    return _measured("steps", settings)


def sanitizers(settings: Settings) -> dict[str, Any]:
    """Run the tests of the kernels under compute-sanitizer, where it is found."""
    tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=os.pathsep.join(_PLACES))
    if tool is None:
        return {"skipped": "compute-sanitizer is not found"}
    found = {}
    for name in SANITIZERS:
        command = [tool, "--tool", name, "--error-exitcode", "99", *_pytest(), "-m", "gpu", *_SANITIZED]
        done = _run(command, settings.limit, {"GPUCNN_GPU_POOL": "off"})
        summaries = [line.strip("= ") for line in done.lines if "SUMMARY" in line]
        found[name] = {**done.dump(), **_outcome(done), "summary": summaries[-1] if summaries else None}
    return found


PARTS: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "tests": tests,
    "parity": comparisons,
    "conv": convolutions,
    "steps": steps,
    "sanitize": sanitizers,
}
"""In the order in which they run: first whether it is right, then how fast it is, last what takes long."""


def _pytest() -> list[str]:
    return [PYTHON, "-m", "pytest", "--require-gpu", "-p", "no:cacheprovider", "--no-header", "-q"]


def _outcome(done: Done) -> dict[str, Any]:
    """Return what pytest's last lines say: how many tests passed, failed, ..., and which ones failed."""
    counts = re.findall(r"(\d+) (passed|failed|skipped|errors?|deselected)\b", " ".join(done.lines[-8:]))
    failed = [line for line in done.lines if line.startswith(("FAILED", "ERROR "))]
    return {"tests": {name: int(count) for count, name in counts}, "failed": failed}


def _comparison(name: str, settings: Settings) -> dict[str, Any]:
    options = ["--device", "cuda", "--json"]
    if settings.golden and name == GOLDEN:
        options += ["--write", str(settings.golden)]
    done = _run([PYTHON, "-m", "gpucnn", "parity", *COMPARISONS[name], *options], settings.limit, quiet=True)
    try:
        report = json.loads("\n".join(done.lines[_first(done.lines, "{") :]))
    except ValueError:
        return {**done.dump(), "output": done.lines[-TAIL:]}
    typer.echo("  " + ("; ".join(report["problems"]) or "all agree"), err=True)
    return {"exit_code": done.code, "seconds": done.seconds, **report}


def _first(lines: Sequence[str], text: str) -> int:
    return next((i for i, line in enumerate(lines) if line == text), len(lines))


def _measured(part: str, settings: Settings) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "known.json"
        timing = [str(settings.rounds), str(settings.seconds)]
        done = _run([PYTHON, "-m", "benchmarks.gpu", part, str(file), *timing], settings.limit)
        known = json.loads(file.read_bytes()) if file.is_file() else {}
    return {**done.dump(), **known}


def _run(
    command: Sequence[str], limit: float, variables: Mapping[str, str] | None = None, *, quiet: bool = False
) -> Done:
    """Run a command in the project's folder, showing what it says unless `quiet`; stop it after `limit` seconds."""
    typer.echo(f"$ {' '.join(['python', *command[1:]] if command[0] == PYTHON else command)}", err=True)
    lines: deque[str] = deque(maxlen=None if quiet else 10 * TAIL)
    began, stopped = time.perf_counter(), threading.Event()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    environment = os.environ | {"PYTHONUNBUFFERED": "1", **(variables or {})}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:

        def stop() -> None:
            stopped.set()
            process.kill()

        timer = threading.Timer(limit, stop)
        timer.start()
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))
            if not quiet:
                typer.echo(f"  {lines[-1]}", err=True)
        code = process.wait()
        timer.cancel()
    return Done(None if stopped.is_set() else code, round(time.perf_counter() - began, 1), list(lines))
