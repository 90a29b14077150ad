"""A stand-in for CuPy on a machine without a GPU, strict where CuPy is.

Arrays hold NumPy arrays and hide them: what NumPy would mix in silently (a NumPy array beside a device array, a
conversion to one) is refused as CuPy refuses it, so that host code shows what it would do on a GPU. Kernels that
`gpucnn.cuda.launch` launches on these arrays run on the CPU.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cushim import streams
from gpucnn import dispatch
from gpucnn.cuda import launch

ARRAYS = ("T", "base", "real")
FREE = 1 << 30
"""Bytes that are free on the device, of twice as many."""

PLAIN = ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides", "flags")


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801 - CuPy's name
    """A device array: what CuPy's has of NumPy's interface, by the same names."""

    def __init__(self, host: np.ndarray) -> None:
        self.host = host

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return _calling(getattr(ufunc, method))(*inputs, **options)

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __getattr__(self, name: str) -> Any:
        if name in PLAIN:
            return getattr(self.host, name)
        if name in ARRAYS:
            return _wrapped(getattr(self.host, name))
        if name in ("ctypes", "__array_interface__", "tofile") or name.startswith("__"):
            raise AttributeError(name)
        if name in ("item", "tolist"):
            self._read_by_the_host()
        method = getattr(self.host, name)
        return _changing(method) if name == "fill" else _calling(method, self.host)

    def __getitem__(self, key: Any) -> ndarray:
        return _calling(lambda own, at: np.asarray(own[at]))(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _changing(self.host.__setitem__)(key, value)

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    def __float__(self) -> float:
        return float(self._read_by_the_host())

    def __int__(self) -> int:
        return int(self._read_by_the_host())

    def __index__(self) -> int:
        return self._read_by_the_host().__index__()

    def __bool__(self) -> bool:
        return bool(self._read_by_the_host())

    def _read_by_the_host(self) -> np.ndarray:
        streams.refuse_while_capturing()
        return self.host

    @property
    def device(self) -> Device:
        return Device(0)

    @property
    def data(self) -> streams.Pointer:
        return streams.Pointer(self.host)

    def get(self) -> np.ndarray:
        return self._read_by_the_host().copy()


class Device:
    """The one device there is."""

    compute_capability = "90"
    attributes = types.MappingProxyType({"MultiProcessorCount": 4, "ClockRate": 1_000_000, "L2CacheSize": 2**10})

    def __init__(self, index: int = 0) -> None:
        self.id = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __str__(self) -> str:
        return f"<CUDA Device {self.id}>"

    @property
    def mem_info(self) -> tuple[int, int]:
        return FREE, 2 * FREE

    def use(self) -> None: ...

    def synchronize(self) -> None: ...


class Module(types.ModuleType):
    """`cupy`: NumPy's functions, taking and returning device arrays."""

    __version__ = "14.2.0"
    ndarray = ndarray
    cuda = types.SimpleNamespace(
        Device=Device,
        Event=streams.Event,
        Stream=streams.Stream,
        MemoryPool=streams.MemoryPool,
        using_allocator=streams.using_allocator,
        alloc_pinned_memory=bytearray,
        get_elapsed_time=lambda first, last: 1000 * (last.seconds - first.seconds),
        runtime=types.SimpleNamespace(
            getDeviceCount=lambda: 1,
            getDeviceProperties=lambda index: {"name": b"Stand-in 1"},
            runtimeGetVersion=lambda: 13000,
            driverGetVersion=lambda: 13010,
            memGetInfo=lambda: (FREE, 2 * FREE),
        ),
    )
    lib = types.SimpleNamespace(
        stride_tricks=types.SimpleNamespace(
            as_strided=lambda x, shape, strides: ndarray(np.lib.stride_tricks.as_strided(x.host, shape, strides))
        )
    )

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found
        return _changing(found) if name == "copyto" else _calling(found)

    def get_default_memory_pool(self) -> Any:
        return types.SimpleNamespace(free_bytes=lambda: 0, free_all_blocks=lambda: None, malloc=lambda size: None)

    def asarray(self, x: Any, dtype: Any = None) -> ndarray:
        """Copy to the device: here alone NumPy arrays are welcome."""
        return x if isinstance(x, ndarray) and dtype in (None, x.dtype) else self.array(x, dtype)

    def array(self, x: Any, dtype: Any = None) -> ndarray:
        if isinstance(x, ndarray):
            return _calling(np.array)(x, dtype)
        if not isinstance(x, (int, float)):
            streams.refuse_while_capturing()
        return ndarray(np.array(x, dtype))


def install(monkeypatch: Any, kernels: Callable[[Any, str], Any] | None = None) -> Any:
    """Put the stand-in in CuPy's place; `kernels`: (kernel, dtype) to what runs it over NumPy arrays. Return it.

    Without kernels, operations run by their references.
    """
    module = Module("cupy")
    monkeypatch.setitem(sys.modules, "cupy", module)
    if kernels is None:
        monkeypatch.delitem(dispatch.ROOMS, "cupy")
    else:
        monkeypatch.setitem(launch.compilers, "cupy", lambda kernel, dtype: _launching(kernels(kernel, dtype)))
    return module


def _launching(run: Callable[..., None]) -> Callable[..., None]:
    def launching(grid: Any, block: Any, arguments: tuple[Any, ...], **options: Any) -> None:
        hosted = tuple(map(_hosted, arguments))
        streams.queued(lambda: run(grid, block, hosted, **options))

    return launching


def _hosted(argument: Any) -> Any:
    """Return what a kernel's argument holds: an array, a list of arrays, or a structure."""
    if isinstance(argument, list):
        return [None if array is None else array.host for array in argument]
    return argument.host if isinstance(argument, ndarray) else argument


def _calling(function: Callable[..., Any], *own: np.ndarray) -> Callable[..., Any]:
    """Return a NumPy function over device arrays. own: what a method belongs to."""

    def calling(*args: Any, **kwargs: Any) -> Any:
        given, named = _unwrapped(args), _unwrapped(kwargs)
        if kwargs.get("out") is not None:
            streams.queued(lambda: function(*given, **named))
            return kwargs["out"][0] if isinstance(kwargs["out"], tuple) else kwargs["out"]
        name = getattr(function, "__name__", "")
        return _wrapped(streams.made(lambda: function(*given, **named), [*own, *_arrays((given, named))], name))

    return calling


def _changing(function: Callable[..., Any]) -> Callable[..., None]:
    """Return a NumPy function that changes what it belongs to or is given."""

    def changing(*args: Any, **kwargs: Any) -> None:
        given, named = _unwrapped(args), _unwrapped(kwargs)
        streams.queued(lambda: function(*given, **named))

    return changing


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """Yield the NumPy arrays in arguments."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _arrays(item)


def _unwrapped(value: Any) -> Any:
    """Return what device arrays hold; refuse NumPy arrays, as CuPy does. Numbers are welcome."""
    if isinstance(value, ndarray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, (tuple, list)):
        return type(value)(_unwrapped(item) for item in value)
    if isinstance(value, dict):
        return {key: _unwrapped(item) for key, item in value.items()}
    return value


def _wrapped(value: Any) -> Any:
    """Return arrays and numbers that NumPy computed as device arrays: CuPy has no numbers of its own."""
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(np.asarray(value))
    if isinstance(value, (tuple, list)):
        return type(value)(_wrapped(item) for item in value)
    return value
