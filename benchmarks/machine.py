"""What figures depend on beside the code: machine, versions, threads; nothing that tells whose machine it is."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PREFIXES = ("OMP_", "OPENBLAS_", "MKL_", "GOMP_", "KMP_", "MALLOC_")


def usable_cpus() -> int:
    """Return how many CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Let NumPy's BLAS and OpenMP use so many threads. They look once: call this before NumPy is imported."""
    os.environ |= {name: str(count) for name in THREAD_VARIABLES}


def cpu_model() -> str:
    """Return the name of the CPU."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Return CPU, cores, threads, versions and commit as plain data."""
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "cpu": cpu_model(),
        "cpus_usable": usable_cpus(),
        "variables": {name: value for name, value in os.environ.items() if name.startswith(_PREFIXES)},
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "blas_kernels": _blas_kernels(),
        "torch": _installed("torch"),
        **_commit(),
    }


def _blas_kernels() -> str | None:
    """Return for which CPU the BLAS at work was written; None where threadpoolctl, which asks it, is missing."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    return next((found.get("architecture") for found in threadpool_info() if found["user_api"] == "blas"), None)


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """Return the commit, and whether files were changed since, the results themselves left aside."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(*arguments: str) -> str | None:
    """Return what git says of the project; None where it is no checkout."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
