"""A compiled source and its kernels, with the calls of `cupy.RawModule` and `cupy.RawKernel`, over NumPy arrays."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cushim.build import kernels_library, runtime_library

ORDERS = ("forward", "reverse", "warps")


class KernelError(Exception):
    """What a kernel did that it must not: where, and in which thread."""


@dataclass(frozen=True)
class Schedule:
    """In which order threads run, and where arrays lie.

    order: by index, by reverse index, or whole warps by random priorities, redrawn at each barrier from `seed`: of the
    orders that a GPU may choose, those in which a missing barrier shows most. at_start: arrays begin at a guard page,
    off by as much as they are from a multiple of 16 bytes; else they end at one.
    """

    order: str = "forward"
    seed: int = 0
    at_start: bool = False


class _Region(ctypes.Structure):
    _fields_ = [
        ("base", ctypes.c_void_p),
        ("size", ctypes.c_uint64),
        ("granule", ctypes.c_int),
        ("name", ctypes.c_char * 52),
    ]


class _Kernel(ctypes.Structure):
    _fields_ = [("function", ctypes.c_void_p), ("call", ctypes.c_void_p), ("parameters", ctypes.c_char * 128)]


class _Launch(ctypes.Structure):
    _fields_ = [
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("seed", ctypes.c_uint64),
        ("shared", ctypes.c_void_p),
        ("shared_size", ctypes.c_uint64),
        ("order", ctypes.c_int),
        ("races", ctypes.c_int),
        ("regions_count", ctypes.c_int),
        ("values", ctypes.POINTER(ctypes.c_void_p)),
        ("regions", ctypes.POINTER(_Region)),
        ("error", ctypes.c_char_p),
        ("error_size", ctypes.c_uint64),
        ("error_places", ctypes.c_void_p * 2),
    ]


class Module:
    """The kernels of a source text. flags: for g++, after all others."""

    def __init__(self, text: str, names: list[str], cache: Path, *flags: str) -> None:
        self.runtime = _runtime(runtime_library(cache))
        self.path = kernels_library(text, names, cache, *flags)
        self.library = ctypes.PyDLL(str(self.path))  # keeps the interpreter's lock: one launch at a time

    def get_function(self, name: str) -> Kernel:
        """Return the kernel of this name."""
        return Kernel(self, name)


class Kernel:
    """One kernel, called as `cupy.RawKernel` is."""

    def __init__(self, module: Module, name: str) -> None:
        self.module, self.name = module, name
        self.entry = _Kernel.in_dll(module.library, f"cushim_export_{name}")
        codes = self.entry.parameters.decode()
        self.parameters = [codes[i : i + 2] for i in range(0, len(codes), 2)]

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: tuple[Any, ...],
        *,
        shared_mem: int = 0,
        schedule: Schedule = Schedule(),
    ) -> None:
        """Run the kernel, its arrays between guard pages; raises KernelError where it does what it must not."""
        if len(args) != len(self.parameters):
            raise KernelError(f"{self.name}: {len(args)} arguments for {len(self.parameters)} parameters")
        pairs = zip(args, self.parameters, strict=True)
        buffers = [
            (_List if isinstance(argument, list) else _Buffer)(self, str(i), argument, parameter, schedule)
            for i, (argument, parameter) in enumerate(pairs)
        ]
        error = self._run(grid, block, buffers, shared_mem, schedule)
        touched = [i for i, buffer in enumerate(buffers) if buffer.release(keep=error is None)]
        if error is None and touched:
            error = f"something was written next to argument {touched[0]}"
        if error is not None:
            raise KernelError(f"{self.name}: {error}")

    def _run(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        buffers: list[_Buffer | _List],
        shared_mem: int,
        schedule: Schedule,
    ) -> str | None:
        values = (ctypes.c_void_p * len(buffers))(*(ctypes.addressof(buffer.value) for buffer in buffers))
        regions = [region for buffer in buffers for region in buffer.regions]
        message = ctypes.create_string_buffer(2048)
        runtime = self.module.runtime
        shared = runtime.cushim_allocate(shared_mem, 0 if schedule.at_start else -1)
        launch = _Launch(
            (ctypes.c_uint * 3)(*_three(grid)),
            (ctypes.c_uint * 3)(*_three(block)),
            schedule.seed,
            shared,
            shared_mem,
            ORDERS.index(schedule.order),
            1,
            len(regions),
            values,
            (_Region * max(1, len(regions)))(*regions),
            ctypes.cast(message, ctypes.c_char_p),
            len(message),
        )
        self.module.library.cushim_touch_shared()  # in the thread that launches
        failed = runtime.cushim_launch(ctypes.byref(self.entry), ctypes.byref(launch))
        touched = runtime.cushim_release(shared)
        if not failed:
            return "something was written next to shared memory" if touched else None
        places = [_place(address) for address in launch.error_places if address]
        return message.value.decode() + (f" at {' / earlier access at '.join(places)}" if places else "")


class _Buffer:
    """An argument as the kernel sees it: an array's copy between guard pages, or the bytes of a number."""

    def __init__(self, kernel: Kernel, index: str, argument: Any, parameter: str, schedule: Schedule) -> None:
        kind, code = parameter
        where = f"{kernel.name}, argument {index}"
        self.array: np.ndarray | None = None
        self.regions: list[_Region] = []
        self.written = kind == "P"
        self.runtime = kernel.module.runtime
        self.value: Any
        if kind == "V":
            if not isinstance(argument, (np.generic, np.ndarray)) or (code != "?" and argument.dtype != np.dtype(code)):
                raise KernelError(f"{where}: {argument!r} is no NumPy {np.dtype(code) if code != '?' else 'structure'}")
            self.value = ctypes.create_string_buffer(argument.tobytes())
        elif not isinstance(argument, np.ndarray):
            self.value = ctypes.c_void_p(int(argument))  # null
        else:
            fits = argument.dtype.itemsize == 2 if code == "2" else argument.dtype == np.dtype(code)
            if not fits or not argument.flags.c_contiguous:
                raise KernelError(
                    f"{where}: must be a contiguous array of {'halves' if code == '2' else np.dtype(code)}"
                )
            self._place(argument, index, schedule)

    def _place(self, array: np.ndarray, index: str, schedule: Schedule) -> None:
        self.array = array
        offset = array.ctypes.data % 16 if schedule.at_start else -1
        self.address = self.runtime.cushim_allocate(array.nbytes, offset)
        ctypes.memmove(self.address, array.ctypes.data, array.nbytes)
        if not self.written:
            self.runtime.cushim_protect(self.address)
        self.regions = [_Region(self.address, array.nbytes, min(4, array.itemsize), f"argument {index}".encode())]
        self.value = ctypes.c_void_p(self.address)

    def release(self, keep: bool) -> bool:
        """Free the memory, the array brought up to date first if `keep`; return whether its neighbourhood changed."""
        if self.array is None:
            return False
        if keep and self.written:
            ctypes.memmove(self.array.ctypes.data, self.address, self.array.nbytes)
        return bool(self.runtime.cushim_release(self.address))


class _List:
    """A list of arrays as the kernel sees it: each between guard pages or missing, and the table of their addresses."""

    def __init__(self, kernel: Kernel, index: str, arrays: list[Any], parameter: str, schedule: Schedule) -> None:
        if parameter[0] not in "cp":
            raise KernelError(f"{kernel.name}, argument {index}: takes no list of arrays")
        kinds = parameter[0].upper() + parameter[1]
        self.buffers = [
            _Buffer(kernel, f"{index}[{i}]", np.uint64(0) if array is None else array, kinds, schedule)
            for i, array in enumerate(arrays)
        ]
        addresses = np.array([buffer.value.value or 0 for buffer in self.buffers], np.uint64)
        self.table = _Buffer(kernel, index, addresses, "CL", schedule)
        self.value = self.table.value
        self.regions = [region for buffer in (*self.buffers, self.table) for region in buffer.regions]

    def release(self, keep: bool) -> bool:
        """Free the memory of all, see `_Buffer.release`."""
        touched = [buffer.release(keep) for buffer in (*self.buffers, self.table)]
        return any(touched)


@cache
def _runtime(path: Path) -> ctypes.PyDLL:
    library = ctypes.PyDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    library.cushim_allocate.restype = ctypes.c_void_p
    library.cushim_allocate.argtypes = [ctypes.c_uint64, ctypes.c_int]
    library.cushim_protect.argtypes = library.cushim_release.argtypes = [ctypes.c_void_p]
    return library


def _three(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return (*sizes, 1, 1)[:3]


def _place(address: int) -> str:
    """Return the file and line of an address in a library, or the address where they cannot be told."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split()
        low, high = (int(end, 16) for end in fields[0].split("-"))
        if low <= address < high and len(fields) > 5:
            offset = hex(address - low + int(fields[2], 16) - 1)
            try:
                done = subprocess.run(
                    ["addr2line", "-i", "-e", fields[5], offset], capture_output=True, text=True, check=True
                )
            except (OSError, subprocess.CalledProcessError):
                break
            return " in ".join(Path(frame.split()[0]).name for frame in done.stdout.splitlines())
    return hex(address)
