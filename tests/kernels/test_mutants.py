"""Broken kernels, those of `tests/mutants`: every one must be caught.

What catches it is a test like those beside this one: a result that is not the reference's, or what the run time stops
at (guard pages, races, barriers). The mutants are compiled together, each in a namespace of its own.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import mutants
import numpy as np
import pytest
from cushim.expected import reference
from cushim.module import KernelError, Module, Schedule
from mutants.mutant import Mutant, Run

from gpucnn import dispatch
from gpucnn.cuda import launch, plans, sums
from gpucnn.cuda.sources import kernels

GROUPS = [importlib.import_module(f"mutants.{module.name}") for module in pkgutil.iter_modules(mutants.__path__)]
RUNS: dict[str, Run] = {name: run for group in GROUPS for name, run in getattr(group, "RUNS", {}).items()}
MUTANTS: list[Mutant] = [mutant for group in GROUPS for mutant in getattr(group, "MUTANTS", [])]
ROOM = {"float16": 2**-10}
"""How far apart two results may be: 1e-4, but for halves, one of which may be the next beside the other."""


@contextmanager
def computed_by(compiler: Callable[[Any, str], Any]) -> Iterator[None]:
    """While entered, operations on NumPy arrays are computed by the kernels that `compiler` returns; sums in parts."""
    with pytest.MonkeyPatch.context() as patch, dispatch.using("fast"):
        patch.setitem(dispatch.ROOMS, "numpy", "gpucnn.cuda")
        patch.setattr(sums, "TERMS", 20)
        plans.candidates.cache_clear()
        patch.setitem(launch.compilers, "numpy", compiler)
        yield


@pytest.fixture(scope="module")
def launched(modules: dict[str, Module]) -> dict[str, list[str]]:
    """The kernels that each run launches."""
    found: dict[str, list[str]] = {}
    for name, run in RUNS.items():
        names: dict[str, None] = {}

        def noted(kernel: Any, dtype: str, names: dict[str, None] = names) -> Any:
            names[kernel.name] = None
            return modules[dtype].get_function(kernel.name)

        with computed_by(noted):
            run()
        found[name] = list(names)
    return found


@pytest.fixture(scope="module")
def mutated(builds: Path, launched: dict[str, list[str]]) -> dict[Mutant, dict[str, Any]]:
    """The kernels of each mutant's file that its run launches, by name."""
    files = {name: kernel.file.stem for name, kernel in kernels().items()}
    names = {mutant: [name for name in launched[mutant.run] if files[name] == mutant.file] for mutant in MUTANTS}

    def compiled(some: list[Mutant]) -> dict[Mutant, dict[str, Any]]:
        text = "".join(mutant.text(names[mutant], number) for number, mutant in enumerate(some))
        numbered = [f"{name}_{number}" for number, mutant in enumerate(some) for name in names[mutant]]
        module = Module(text, numbered, builds, "-O0")  # each is run but twice
        return {
            mutant: {name: module.get_function(f"{name}_{number}") for name in names[mutant]}
            for number, mutant in enumerate(some)
        }

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(compiled, (MUTANTS[::2], MUTANTS[1::2]))
    return first | second


def complaint(modules: dict[str, Module], name: str, replaced: dict[str, Any]) -> str | None:
    """Return what is wrong with a run with some kernels replaced; None where nothing is.

    It runs with arrays that end at a page that cannot be touched, and then with arrays that start at one.
    """
    expected = reference(RUNS[name])
    for schedule in (Schedule(), Schedule(at_start=True)):

        def compiler(kernel: Any, dtype: str, schedule: Schedule = schedule) -> Any:
            found = replaced.get(kernel.name) or modules[dtype].get_function(kernel.name)
            return partial(found, schedule=schedule)

        try:
            with computed_by(compiler):
                actual = RUNS[name]()
        except KernelError as error:
            return str(error)
        pairs = zip(actual, expected, strict=True)
        if not all(
            np.allclose(*pair, rtol=ROOM.get(pair[0].dtype.name, 1e-4), atol=1e-4, equal_nan=True) for pair in pairs
        ):
            return "wrong result"
    return None


@pytest.mark.parametrize("name", RUNS)
def test_what_catches_the_mutants_finds_no_fault_with_the_kernels(modules, name):
    assert complaint(modules, name, {}) is None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.file}: {m.old[:30]} -> {m.new[:20].strip()}")
def test_every_mutant_is_caught(modules, mutated, mutant):
    assert mutated[mutant], f"{mutant.run} launches no kernel of {mutant.file}.cu"
    assert complaint(modules, mutant.run, mutated[mutant]) is not None, "nothing was wrong with it"


@pytest.mark.parametrize(
    ("old", "told"),
    [
        ("if (i >= g.N * g.P * g.Q * g.K) return;", "outside argument"),
        ("atomicAdd(total, found)", "race on argument 2 at byte 0: written by another block"),
        ("if (lane() == 0) losses", "race on argument"),
        ("(warp_row() >= rows)", "deadlock"),
        ("  __syncthreads();\n  for", r"of shared memory.* at tile.cuh:\d+"),
        ("      __syncthreads();\n    }", r"of shared memory.* at tile.cuh:\d+"),
    ],
)
def test_what_is_wrong_is_told(modules, mutated, old, told):
    mutant = next(mutant for mutant in MUTANTS if mutant.old == old)
    assert re.search(told, complaint(modules, mutant.run, mutated[mutant]) or "")


def test_there_are_mutants_of_every_file():
    assert {mutant.file for mutant in MUTANTS} == {kernel.file.stem for kernel in kernels().values()}


def test_every_run_has_a_name_of_its_own():
    assert len(RUNS) == sum(len(getattr(group, "RUNS", ())) for group in GROUPS)
