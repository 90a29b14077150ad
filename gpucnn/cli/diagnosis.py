"""What `gpucnn doctor` looks at: one `Finding` or more for each thing, whatever happens."""

from __future__ import annotations

import functools
import importlib
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

import gpucnn
from gpucnn import ops
from gpucnn.backend import Array, Device, Unusable, to_numpy
from gpucnn.dispatch import recorded
from gpucnn.errors import GpucnnError

TOLERANCE = 1e-5
"""Largest difference in float32, relative to the largest number: sums of at most 60 products, each rounded to 6e-8."""

_WINDOW: dict[str, Any] = {"stride": 2, "padding": 1}


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis. state: `note` is what could be there and is not. remedy: what to do about it."""

    subject: str
    state: Literal["ok", "note", "fail"]
    text: str
    remedy: str = ""

    def dump(self) -> dict[str, str]:
        """Return the finding as plain data."""
        return asdict(self)


def diagnosis(device: str | None = None) -> Iterator[Finding]:
    """Yield the findings, in the order in which one thing stands on another; never raises.

    device: that must work; without it, a machine that has no CuPy is sound.
    """
    for subject, look in (
        ("gpucnn", _gpucnn),
        ("Python", _python),
        ("NumPy", _numpy),
        ("numba", _numba),
        ("CPU", _cpu),
    ):
        yield from _guarded(subject, look)
    yield from _guarded("CuPy", _cupy)
    if device:
        yield from _guarded("device", lambda: _asked(device))
    yield from _guarded("kernels", _kernels)
    yield from _guarded("data", _data)
    yield from _guarded("plots", _plots)


def _guarded(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what `look` finds; where it raises, that as a finding."""
    try:
        yield from look()
    except Unusable as error:
        yield Finding(subject, "fail", error.problem, error.remedy)
    except GpucnnError as error:
        yield Finding(subject, "fail", _one_line(error))
    except Exception as error:  # a diagnosis that breaks down is worth nothing
        remedy = "GPUCNN_DEBUG=1 with the command that failed shows where; report it with these lines"
        yield Finding(subject, "fail", f"{type(error).__name__}: {_one_line(error)}", remedy)


def _gpucnn() -> Iterator[Finding]:
    yield Finding("gpucnn", "ok", gpucnn.__version__)


def _python() -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()}, {platform.system()} {platform.machine()}")


def _numpy() -> Iterator[Finding]:
    from gpucnn.problems import plural
    from gpucnn.training.lines import blas_threads

    blas: Any = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    library = f"{blas.get('name')} {blas.get('version')}"
    yield Finding("NumPy", "ok", f"{np.__version__}, {library}, {plural(blas_threads(), 'thread')}")


def _numba() -> Iterator[Finding]:
    from gpucnn.cpu import compiled

    problem = compiled.problem()
    if problem:
        remedy = 'pip install --upgrade "gpucnn[cpu]"'
        yield Finding("numba", "note", f"{problem}: float32 on the CPU is computed by NumPy alone, slower", remedy)
    else:
        yield Finding("numba", "ok", str(compiled.version()))


def _cpu() -> Iterator[Finding]:
    """A convolution and its gradients are adjoint: <conv(x, w), dy> = <x, its gradient> = <w, its gradient>."""
    x, w, dy = _arrays(Device("cpu"))
    y, dx, dw = _convolution(x, w, dy)
    products = [float((a * b).sum(dtype=np.float64)) for a, b in ((y, dy), (x, dx), (w, dw))]
    wrong = max(abs(product - products[0]) for product in products) / float(abs(y * dy).sum())
    ones = ops.conv2d(np.ones_like(x), np.ones_like(w), **_WINDOW)
    if wrong > TOLERANCE or float(ones.max()) != w[0].size:
        yield Finding("CPU", "fail", "convolution gives wrong results", "install NumPy again")
    else:
        yield Finding("CPU", "ok", "convolution and its gradients are right")


def _cupy() -> Iterator[Finding]:
    from gpucnn.cuda import machine

    try:
        found = machine.versions()
    except Unusable as error:
        missing = error.problem == "CuPy is not installed"
        text = f"{error.problem}; all runs on the CPU" if missing else error.problem
        yield Finding("CuPy", "note" if missing else "fail", text, error.remedy)
        return
    yield Finding("CuPy", "ok", f"{found['cupy']}, built for CUDA {found['cuda']}")
    yield from _guarded("driver", lambda: _driver(found["driver"]))
    yield from _guarded("NVRTC", lambda: iter([Finding("NVRTC", "ok", machine.nvrtc_version())]))


def _driver(version: str) -> Iterator[Finding]:
    """The driver, and then what depends on it: the devices."""
    from gpucnn.cuda import machine

    found = machine.devices()
    yield Finding("driver", "ok", f"{_driver_release()}runs CUDA {version}")
    for device in found:
        name = f"cuda:{device['index']}"
        free, total = (device[key] / 2**30 for key in ("memory_free", "memory_total"))
        text = f"{device['name']}, compute capability {device['compute_capability']}"
        yield Finding(name, "ok", f"{text}, {free:.1f} of {total:.1f} GiB free")
        yield from _guarded(name, functools.partial(_on_device, name))


def _driver_release() -> str:
    """Return `580.95.05, ` where nvidia-smi is there to ask."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{done.stdout.split()[0]}, " if done.stdout.split() else ""


def _on_device(name: str) -> Iterator[Finding]:
    """The convolution of `_cpu`, compared with what that gives."""
    expected = _convolution(*_arrays(Device("cpu")))
    with recorded() as decisions:
        actual = _convolution(*_arrays(Device.named(name)))
    for what, a, b in zip(("forward", "backward data", "backward weight"), actual, expected, strict=True):
        error = float(np.abs(to_numpy(a) - b).max() / np.abs(b).max())
        if not error <= TOLERANCE:
            text = f"convolution, {what}: differs from NumPy's by {error:.2g} of the largest number"
            yield Finding(name, "fail", text, "set device: cpu, and report it with these lines")
            return
    rooms = " and ".join(sorted({decision.implementation for decision in decisions}))
    yield Finding(name, "ok", f"convolution and its gradients are right, by {rooms}")


def _asked(device: str) -> Iterator[Finding]:
    yield Finding("device", "ok", f"{Device.named(device)} can be used")


def _kernels() -> Iterator[Finding]:
    from gpucnn.cuda.sources import kernels

    found = kernels()
    files = {kernel.file for kernel in found.values()}
    yield Finding("kernels", "ok" if found else "fail", f"{len(found)} in {len(files)} files")


def _data() -> Iterator[Finding]:
    from gpucnn.data.base import NEEDS_PATH, Dataset

    classes: dict[str, Any] = dict(Dataset.registry.classes)
    for name, cls in classes.items():
        if cls.located() != NEEDS_PATH:
            yield from _guarded(f"data {name}", functools.partial(_data_set, name, cls))


def _data_set(name: str, cls: Any) -> Iterator[Finding]:
    located, fetch = cls.located(), f"gpucnn data fetch {name}"
    if located == "not found":
        yield Finding(f"data {name}", "note", located, fetch)
        return
    try:
        cls().info()
        yield Finding(f"data {name}", "ok", located)
    except GpucnnError as error:
        yield Finding(f"data {name}", "fail", _one_line(error), fetch if cls.origin else "")


def _plots() -> Iterator[Finding]:
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        yield Finding("plots", "note", "matplotlib is not installed: runs draw no plots", 'pip install "gpucnn[plots]"')
    else:
        yield Finding("plots", "ok", f"matplotlib {matplotlib.__version__}")


def _arrays(device: Device) -> tuple[Array, Array, Array]:
    """Return x, w and dy of a small convolution, the same numbers on every device."""
    shapes = [(2, 7, 6, 3), (5, 3, 3, 3), (2, 4, 3, 5)]
    rng = np.random.default_rng(0)
    x, w, dy = (device.asarray(rng.standard_normal(shape).astype(np.float32)) for shape in shapes)
    return x, w, dy


def _convolution(x: Array, w: Array, dy: Array) -> tuple[Array, Array, Array]:
    """Return y, dx and dw."""
    dx = ops.conv2d_backward_data(dy, w, x.shape, **_WINDOW)
    return ops.conv2d(x, w, **_WINDOW), dx, ops.conv2d_backward_weight(x, dy, w.shape, **_WINDOW)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
