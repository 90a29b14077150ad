"""Kernels for NumPy arrays: operations dispatch to `gpucnn.cuda`, whose launch finds the CPU build of the sources.

So a test calls `ops.NAME` and goes through all of it: dispatch, host side, launch, kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checks.halves import HALVES, Half
from cushim.build import unavailable
from cushim.module import Module, Schedule

from gpucnn import dispatch
from gpucnn.backend import Device
from gpucnn.cuda import launch, plans
from gpucnn.cuda.sources import DTYPES, Kernel, compiled_for, files_of, kernels, source

SCHEDULES = {
    "forward": Schedule(),
    "reverse": Schedule("reverse", at_start=True),
    "warps 1": Schedule("warps", seed=1),
    "warps 2": Schedule("warps", seed=2, at_start=True),
}


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled kernels, shared by all processes of a test run."""
    if reason := unavailable():
        pytest.skip(reason)
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "kernel-builds"
    folder.mkdir(exist_ok=True)
    return folder


class Kernels:
    """All kernels for one dtype: those for every architecture compiled together, each of the others when asked for."""

    def __init__(self, dtype: str, builds: Path) -> None:
        self.dtype, self.builds = dtype, builds
        found = compiled_for(dtype, architecture=0)
        self.common = Module(source(files_of(found), dtype), list(found), builds)
        self.others: dict[str, Module] = {}

    def get_function(self, name: str) -> Any:
        """Return the kernel of this name."""
        kernel = kernels()[name]
        if not kernel.architecture:
            return self.common.get_function(name)
        if name not in self.others:
            self.others[name] = Module(source([kernel.file], self.dtype, [name]), [name], self.builds)
        return self.others[name].get_function(name)


@pytest.fixture(scope="session")
def modules(builds: Path) -> dict[str, Kernels]:
    """All kernels, compiled for each dtype that they say they are for."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(DTYPES, pool.map(lambda dtype: Kernels(dtype, builds), DTYPES), strict=True))


@pytest.fixture
def nothing_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs draw no pictures, which takes most of a small one's time."""
    monkeypatch.setattr("gpucnn.training.report._draw", lambda *_: None)


@pytest.fixture(autouse=True)
def plans_anew() -> Iterator[None]:
    """Plans are rated once for each task; here, tests change what they depend on."""
    plans.candidates.cache_clear()
    yield
    plans.candidates.cache_clear()


@pytest.fixture(params=[*SCHEDULES, pytest.param("gpu", marks=pytest.mark.gpu)])
def on_kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While in use, operations on NumPy arrays are computed by kernels or fail, and new arrays are full of NaN.

    Once on the CPU in each order of the threads, and once on a GPU where there is one.
    """
    compiler = on_gpu() if request.param == "gpu" else on_cpu(request)
    monkeypatch.setitem(launch.compilers, "numpy", compiler)
    monkeypatch.setitem(dispatch.ROOMS, "numpy", "gpucnn.cuda")
    monkeypatch.setattr(np, "empty", poisoned)
    with dispatch.using("fast"):
        yield


def on_cpu(request: pytest.FixtureRequest) -> launch.Compiler:
    """Return what finds a kernel in its CPU build."""
    modules: dict[str, Kernels] = request.getfixturevalue("modules")
    schedule = SCHEDULES[request.param]
    return lambda kernel, dtype: partial(modules[dtype].get_function(kernel.name), schedule=schedule)


@pytest.fixture(params=["float16", "bfloat16"])
def half(request: pytest.FixtureRequest) -> Half:
    """Each of the half precisions."""
    return HALVES[request.param]


def on_gpu() -> launch.Compiler:
    """Return what compiles a kernel for the GPU; arrays are copied there for each launch, and back."""
    cupy = Device.named("cuda").xp

    def compiler(kernel: Kernel, dtype: str) -> launch.Launcher:
        compiled = launch.compilers["cupy"](kernel, dtype)

        def run(grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int) -> None:
            moved = tuple(placed(a, is_array) for a, is_array in zip(args, arrays, strict=True))
            compiled(grid, block, moved, shared_mem=shared_mem)
            for parameter, host, device in zip(kernel.parameters, args, moved, strict=True):
                if parameter.array and not parameter.const:
                    brought_back(host, device)

        def placed(argument: Any, is_array: bool) -> Any:
            if isinstance(argument, list):
                return [None if array is None else cupy.asarray(array) for array in argument]
            return cupy.asarray(argument) if is_array and isinstance(argument, np.ndarray) else argument

        def brought_back(host: Any, device: Any) -> None:
            for one, other in zip(host, device, strict=True) if isinstance(host, list) else [(host, device)]:
                if isinstance(one, np.ndarray):
                    one[...] = other.get()

        arrays = [parameter.array for parameter in kernel.parameters]
        return run

    return compiler


def poisoned(shape: Any, dtype: Any = float) -> np.ndarray:
    """Return an array that nobody has written to yet: NaN, or the type's last number."""
    array = np.ndarray(shape, dtype)
    array.view(np.uint8 if array.ndim else array.dtype)[...] = 0xFF if array.ndim else np.nan
    return array
