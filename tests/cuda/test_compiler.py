"""Compiling through CuPy, of which a stand-in tells what it was asked for."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpucnn.cuda import compiler
from gpucnn.cuda.compiler import compile_with_cupy
from gpucnn.cuda.sources import kernels, source
from gpucnn.errors import DeviceError


class CompileException(Exception):  # noqa: N818 - CuPy's name
    pass


class Function:
    """A compiled kernel: the launches it was asked for, with the shared memory that was allowed then."""

    max_dynamic_shared_size_bytes = 0

    def __init__(self) -> None:
        self.launches: list[tuple[Any, ...]] = []

    def __call__(self, grid: Any, block: Any, arguments: Any, shared_mem: int) -> None:
        self.launches.append((grid, block, arguments, shared_mem, self.max_dynamic_shared_size_bytes))


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A CuPy with what compiling needs; `made` lists the modules it was asked for."""
    made: list[dict[str, Any]] = []

    class RawModule:
        def __init__(self, **options: Any) -> None:
            made.append(options)

        def get_function(self, name: str) -> Function:
            if "softmax" in name:
                raise CompileException("no such instruction")
            return Function()

    cuda = SimpleNamespace(Device=lambda: cuda.current, compiler=SimpleNamespace(CompileException=CompileException))
    cuda.current = SimpleNamespace(id=0)
    stand_in = ModuleType("cupy")
    vars(stand_in).update(RawModule=RawModule, cuda=cuda, made=made)
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    caches = (compiler._module, compiler._function)
    for cache in caches:
        cache.cache_clear()
    yield stand_in
    for cache in caches:
        cache.cache_clear()


def test_a_file_is_compiled_once_for_each_dtype_and_device(cupy):
    forward, backward = kernels()["conv2d_forward"], kernels()["conv2d_backward_data"]
    assert compile_with_cupy(forward, "float32") is compile_with_cupy(forward, "float32")
    assert compile_with_cupy(backward, "float32") is not compile_with_cupy(forward, "float32")
    compile_with_cupy(forward, "float64")
    cupy.cuda.current = SimpleNamespace(id=1)
    compile_with_cupy(forward, "float64")
    assert [module["code"] for module in cupy.made] == [
        source([forward.file], dtype) for dtype in ("float32", "float64", "float64")
    ]


def test_shared_memory_beyond_what_a_block_has_is_asked_for_once(cupy):
    function = Function()
    cupy.RawModule.get_function = lambda self, name: function
    kernel = kernels()["conv2d_forward"]
    for shared in (0, 48 * 1024, 50_000, 49_000, 90_000):
        compile_with_cupy(kernel, "float32")((1,), (128,), (), shared_mem=shared)
    assert [launch[3:] for launch in function.launches] == [
        (0, 0), (48 * 1024, 0), (50_000, 50_000), (49_000, 50_000), (90_000, 90_000),
    ]  # fmt: skip


def test_a_source_that_does_not_compile_is_told(cupy):
    with pytest.raises(DeviceError, match=r"softmax\.cu does not compile for this device: no such instruction"):
        compile_with_cupy(kernels()["softmax_forward"], "float32")


def test_lists_of_arrays_are_passed_as_arrays_of_their_addresses(cupy, monkeypatch):
    """Each content is copied to the device once."""
    launched: list[tuple[Any, ...]] = []
    copied: list[np.ndarray] = []

    class Array(SimpleNamespace):
        def __init__(self, address: int) -> None:
            super().__init__(data=SimpleNamespace(ptr=address), device=SimpleNamespace(id=0))

    def asarray(numbers: np.ndarray) -> np.ndarray:
        copied.append(numbers)
        return numbers

    cupy.asarray, cupy.ndarray = asarray, Array
    cupy.get_default_memory_pool = lambda: SimpleNamespace(malloc=None)
    cupy.cuda.using_allocator = nullcontext
    cupy.RawModule.get_function = lambda self, name: lambda *args, **options: launched.append((*args, options))
    values, grads = [Array(1 << 40), Array(64)], [None, Array(512)]
    for _ in range(3):
        compile_with_cupy(kernels()["sgd_update"], "float32")((7,), (256,), (values, grads, 0, 0.5), shared_mem=0)
    (grid, block, arguments, options), *_ = launched
    assert (grid, block, arguments[2:], options) == ((7,), (256,), (0, 0.5), {"shared_mem": 0})
    assert [(given.dtype.name, given.tolist()) for given in arguments[:2]] == [
        ("uint64", [1 << 40, 64]),
        ("uint64", [0, 512]),
    ]
    assert len(copied) == 2
