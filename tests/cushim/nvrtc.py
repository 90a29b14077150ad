"""NVIDIA's run-time compiler, from the pip package nvidia-cuda-nvrtc: compiles for any GPU on a machine without one."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_USAGE = re.compile(
    r"Compiling entry function '(?P<name>\w+)' for|"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads|"
    r"Used (?P<registers>\d+) registers[^\n]*?(?:, (?P<shared>\d+) bytes smem|$)",
    re.MULTILINE,
)


@dataclass
class Usage:
    """What a thread of a kernel takes (registers, bytes of local memory and of spills), and a block (shared memory)."""

    registers: int = 0
    stack: int = 0
    spills: int = 0
    shared: int = 0


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiler, or None where it is not installed."""
    spec = find_spec("nvidia")
    for root in spec.submodule_search_locations or [] if spec else []:
        for path in sorted(Path(root).glob("*/lib/libnvrtc.so.*")):
            return ctypes.CDLL(str(path))
    return None


def compiled(text: str, architecture: str) -> tuple[dict[str, Usage], str]:
    """Return what each kernel of a source takes on an architecture such as `sm_90`, and its instructions as PTX.

    AssertionError where it fails.
    """
    with _program(text, architecture) as (program, log):
        return _usages(log), _text("PTX", program)


def ptx(text: str, architecture: str) -> str:
    """Return a source as instructions of a virtual architecture such as `compute_90`."""
    with _program(text, architecture) as (program, _):
        return _text("PTX", program)


@contextmanager
def _program(text: str, architecture: str) -> Iterator[tuple[ctypes.c_void_p, str]]:
    """Yield a compiled program and what the compiler said."""
    nvrtc, program = library(), ctypes.c_void_p()
    assert nvrtc is not None
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None)
    options = [f"--gpu-architecture={architecture}", "-std=c++17", "-ftz=true", "--ptxas-options=-v"]  # as CuPy does
    encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = nvrtc.nvrtcCompileProgram(program, len(options), encoded)
    log = _text("ProgramLog", program)
    assert not failed, f"{architecture}: {log}"
    assert "warning" not in log, f"{architecture}: {log}"
    yield program, log
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(what: str, program: ctypes.c_void_p) -> str:
    size = ctypes.c_size_t()
    getattr(library(), f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(library(), f"nvrtcGet{what}")(program, text)
    return text.value.decode()


def _usages(log: str) -> dict[str, Usage]:
    found: dict[str, Usage] = {}
    for match in _USAGE.finditer(log):
        if match["name"]:
            current = found.setdefault(match["name"], Usage())
        elif match["stack"]:
            current.stack, current.spills = int(match["stack"]), int(match["stores"]) + int(match["loads"])
        else:
            current.registers, current.shared = int(match["registers"]), int(match["shared"] or 0)
    return found
