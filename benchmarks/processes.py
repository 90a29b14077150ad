"""What a process of its own costs, from start to end.

The kernel counts the memory of the process that starts another into the other's peak, so commands that measure
processes stay small: they import nothing heavy before the last of them is done.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gpucnn.errors import GpucnnError

PYTHON = sys.executable


class Failed(GpucnnError):  # noqa: N818 - what it says of a benchmark
    """Something that was to be measured did not work: the message says what."""


@dataclass(frozen=True)
class Cost:
    """seconds: by the clock. cpu_seconds: user and system, of all threads. peak_bytes: resident memory at its most."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(command: Sequence[str]) -> Cost:
    """Run a command to its end, its stdout unseen, and return what it cost; raises Failed where it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"`{' '.join(['python', *command[1:]])}` ended with exit code {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)
