"""The kernels' sources: in which file a kernel stands, what parameters it declares, and the text that is compiled.

A kernel's declaration is the only place that says what it takes: `launch` checks arguments against it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from gpucnn.errors import ArgumentError
from gpucnn.halves import accumulator
from gpucnn.resources import folder

DTYPES = ("float16", "bfloat16", "float32", "float64")
"""What the type T of the sources may stand for."""

_KERNEL = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\([\w, ]+\)\s*)?(\w+)\(([^)]*)\)')
_ENTRY = re.compile(r'^extern "C" __global__.*?(\w+)\([^()]*\) \{$.*?^\}$', re.DOTALL | re.MULTILINE)
_PARAMETER = re.compile(
    r"(?P<const>const )?(?P<type>\w+)(?P<many>\* const)?(?P<array>\* __restrict__)? "
    r"(?P<name>\w+)(?P<null> /\* or null \*/)?"
)
_STRUCTURE = re.compile(r"struct (\w+) \{((?:\s*int [\w, ]+;)+)\s*\};")
_INCLUDE = re.compile(r'#include "([\w.]+)"')
_COMPILED_FOR = re.compile(r"// compiled for: (?P<dtypes>\w+( \w+)*)(; from sm_(?P<architecture>\d+) on)?")
_TYPES = {"int": "int32", "float": "float32", "uint8": "uint8", "uint32": "uint32", "int64": "int64"}


@dataclass(frozen=True)
class Parameter:
    """What a kernel declares of one parameter: an array of `type` if `array`, else one number or structure.

    many: not one array but a list of them, `const T* const* __restrict__ grads`: the kernel gets their addresses.
    """

    name: str
    type: str
    array: bool
    const: bool
    optional: bool
    many: bool = False

    def dtype(self, element: np.dtype) -> np.dtype:
        """Return the NumPy dtype of the type, where the sources' T stands for `element`."""
        if self.type == "T":
            return element
        if self.type == "Acc":
            return accumulator(element)
        return np.dtype(_TYPES[self.type]) if self.type in _TYPES else structures()[self.type]


@dataclass(frozen=True)
class Kernel:
    """A kernel: its name, the file it stands in, its parameters in order, and what it is compiled for.

    dtypes: what T may stand for. architecture: the oldest that it runs on, as 80; 0 for all.
    """

    name: str
    file: Path
    parameters: tuple[Parameter, ...]
    dtypes: tuple[str, ...] = DTYPES
    architecture: int = 0


@cache
def kernels() -> dict[str, Kernel]:
    """Return every kernel by name.

    >>> [p.name for p in kernels()["conv2d_backward_data"].parameters]
    ['dy', 'w', 'z', 'dx', 'g']
    """
    found = {}
    for file in sorted(folder("kernels").glob("*.cu")):
        text = file.read_text()
        dtypes, architecture = _compiled_for(file, text)
        for name, parameters in _KERNEL.findall(text):
            declared = tuple(_parameter(file, p) for p in parameters.split(","))
            found[name] = Kernel(name, file, declared, dtypes, architecture)
    return found


def compiled_for(dtype: str, architecture: int | None = None) -> dict[str, Kernel]:
    """Return the kernels that are compiled for a dtype, on an architecture as 80, by name; by default on any."""
    return {
        name: kernel
        for name, kernel in kernels().items()
        if dtype in kernel.dtypes and (architecture is None or kernel.architecture <= architecture)
    }


def files_of(found: dict[str, Kernel]) -> list[Path]:
    """Return the files that kernels stand in, each once."""
    return sorted({kernel.file for kernel in found.values()})


def _compiled_for(file: Path, text: str) -> tuple[tuple[str, ...], int]:
    """Return the dtypes of a file's kernels and their oldest architecture: all, where its first line does not say.

    Such a line is `// compiled for: float32 float16 bfloat16; from sm_80 on`.
    """
    first = text.partition("\n")[0]
    if not first.startswith("// compiled for"):
        return DTYPES, 0
    match = _COMPILED_FOR.fullmatch(first)
    if match is None or not set(match["dtypes"].split()) <= set(DTYPES):
        raise ArgumentError(
            f"{file.name}: its first line {first!r} must be written `// compiled for: float32 float16; from sm_80 on`, "
            f"with dtypes of {', '.join(DTYPES)}"
        )
    return tuple(match["dtypes"].split()), int(match["architecture"] or 0)


@cache
def structures() -> dict[str, np.dtype]:
    """Return the dtype of every structure of integers that a kernel may take by value."""
    text = "\n".join(file.read_text() for file in folder("kernels").glob("*.cuh"))
    return {
        name: np.dtype([(field, np.int32) for field in re.findall(r"(\w+)\s*[,;]", body)])
        for name, body in _STRUCTURE.findall(text)
    }


def source(files: Sequence[Path], dtype: str, only: Collection[str] | None = None) -> str:
    """Return the text of these files for one dtype, the headers they include in front, each once.

    Headers become part of the text because CuPy's cache of compiled kernels looks at nothing else. only: the names of
    kernels, without all others.
    """
    included: set[str] = set()
    text = f"#define GPUCNN_{dtype}\n" + "".join(_expanded(file, included) for file in files)
    if only is None:
        return text
    return _ENTRY.sub(lambda entry: entry[0] if entry[1] in only else "\n" * entry[0].count("\n"), text)


def _expanded(file: Path, included: set[str]) -> str:
    """Return a file's text, included files put in the place of their names, with the lines' true numbers."""
    lines = [f'#line 1 "{file.name}"']
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        match = _INCLUDE.match(line)
        if match is None:
            lines.append("" if line == "#pragma once" else line)
        elif match[1] not in included:
            included.add(match[1])
            lines += [_expanded(file.parent / match[1], included), f'#line {number + 1} "{file.name}"']
        else:
            lines.append("")
    return "\n".join(lines) + "\n"


def _parameter(file: Path, declared: str) -> Parameter:
    match = _PARAMETER.fullmatch(" ".join(declared.split()))
    if match is None:
        raise ArgumentError(
            f"{file.name}: parameter {declared.strip()!r} must be written `const T* __restrict__ x` or `int n`"
        )
    flags = (bool(match[flag]) for flag in ("array", "const", "null", "many"))
    return Parameter(match["name"], match["type"], *flags)
