"""Compiles kernel sources, and the run time behind them, with g++."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent

# Traps in place of messages: they need no run time of gcc's. Accesses are instrumented as for ThreadSanitizer, whose
# library is not linked: runtime/races.cpp stands in for it.
CHECKS = (
    "-fsanitize=thread",
    "--param=tsan-instrument-func-entry-exit=0",
    "-fsanitize=bounds,alignment,signed-integer-overflow,integer-divide-by-zero,shift",
    "-fsanitize-undefined-trap-on-error",
)
# Without -fno-gnu-unique, the shared memory of two modules with equal kernels would be one. Stacks are probed page by
# page, so that a large local array meets the guard page below them.
KERNEL_FLAGS = (
    *("-O1", "-g1", "-w", "-fno-gnu-unique", "-fstack-clash-protection"),
    *(f"-I{HERE / 'device'}", "-include", "cuda.h", *CHECKS),
)
COMMON = ("-std=c++17", "-fPIC")


def unavailable() -> str | None:
    """Return why kernels cannot be run here, or None."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "kernels run on the CPU under Linux on x86-64 only"
    return None if shutil.which("g++") else "kernels run on the CPU where g++ is installed"


def kernels_library(text: str, names: list[str], cache: Path, *flags: str) -> Path:
    """Return the shared library of a source text with these kernels. flags: for g++, after all others."""
    exports = "".join(f"CUSHIM_EXPORT({name})\n" for name in names)
    whole = f'{text}\n#line 1 "exports"\n#include "export.h"\n{exports}'
    runtime = runtime_library(cache)
    key = _digest(whole, *flags, *sorted((HERE / "device").glob("*.h")))

    def build(target: Path) -> None:
        source, compiled = target.with_suffix(".cpp"), target.with_suffix(".o")
        source.write_text(whole)
        _gxx(*KERNEL_FLAGS, *flags, "-c", str(source), "-o", str(compiled))
        _gxx("-shared", str(compiled), str(runtime), "-o", str(target))

    return _made(cache / f"kernels-{key}.so", build)


def runtime_library(cache: Path) -> Path:
    """Return the shared library of the run time."""
    sources = sorted((HERE / "runtime").glob("*.cpp"))
    key = _digest(*sources, *(HERE / "runtime").glob("*.h"), HERE / "device" / "threads.h")

    def build(target: Path) -> None:
        _gxx("-O2", "-Wall", "-Wextra", "-Werror", "-shared", *map(str, sources), "-o", str(target))

    return _made(cache / f"runtime-{key}.so", build)


def _made(target: Path, build: Callable[[Path], None]) -> Path:
    """Return `target`, built by whoever comes first: test processes may share a cache."""
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            draft = target.with_name(f"draft-{target.name}")
            build(draft)
            draft.replace(target)
    return target


def _digest(*parts: str | Path) -> str:
    texts = [part.read_text() if isinstance(part, Path) else part for part in parts]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _gxx(*arguments: str) -> None:
    done = subprocess.run(["g++", *COMMON, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"g++ failed:\n{done.stderr}")
