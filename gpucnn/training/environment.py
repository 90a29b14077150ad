"""What a run depends on beside its config: versions, machine, threads, device."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import gpucnn
from gpucnn.backend import Device

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def environment(device: Device) -> dict[str, Any]:
    """Return the entry of environment.json for this process.

    >>> environment(Device("cpu"))["device"]
    'cpu'
    """
    blas: Any = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "device": str(device),
        **versions(),
        "commit": _commit(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "threads": {name: os.environ[name] for name in _THREAD_VARIABLES if name in os.environ},
    }


def versions() -> dict[str, str]:
    """Return the versions that a run's bits depend on; checkpoints keep them."""
    return {"gpucnn": gpucnn.__version__, "python": platform.python_version(), "numpy": np.__version__}


def _commit() -> str | None:
    """Return the commit of gpucnn's own source, `+` where it is changed; None where it is not a git checkout."""
    root = Path(gpucnn.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
