"""What a mutant is, and runs of operations that catch it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpucnn.cuda import launch, plans
from gpucnn.cuda.sources import source
from gpucnn.resources import folder

Run = Callable[[], list[Any]]
"""Computes arrays: once by the reference, then by kernels, and by kernels of which some are broken."""

KERNEL = re.compile(r'extern "C" __global__.*?(\w+)\([^()]*\) \{.*?\n\}\n', re.DOTALL)


@dataclass(frozen=True)
class Mutant:
    """A mistake: in this file or a header of it, `old` stands as `new`."""

    file: str
    old: str
    new: str
    run: str
    dtype: str = "float32"

    def text(self, names: list[str], number: int) -> str:
        """Return the file with the mistake, headers and all, in a namespace; of its kernels those named, numbered."""
        text = source([folder("kernels") / f"{self.file}.cu"], self.dtype)
        assert self.old in text, f"{self.file}.cu has no {self.old!r}"
        text = KERNEL.sub(lambda match: match[0] if match[1] in names else "", text.replace(self.old, self.new))
        for name in names:
            text = text.replace(f"{name}(", f"{name}_{number}(")
        return f"namespace mutant{number} {{\n{text}\n}}\nusing namespace mutant{number};\n#undef GPUCNN_{self.dtype}\n"


def on_kernels() -> bool:
    """Return whether kernels compute now; else a run must return what they should give."""
    return "numpy" in launch.compilers


def by(plan: str, operation: Callable[..., Any], *given: Any, **arguments: Any) -> Run:
    """Return what computes an operation by a plan."""

    def run() -> list[Any]:
        with plans.using(lambda task: plans.Plan.read(plan)):
            return [operation(*given, **arguments)]

    return run
