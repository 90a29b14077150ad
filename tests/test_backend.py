"""Devices are found, refused with what to do, and CuPy is left alone until one is asked for."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from gpucnn.backend import Device, array_module, to_numpy
from gpucnn.errors import ArgumentError, DeviceError


class FakeError(RuntimeError):
    """CuPy's CUDARuntimeError: a message, and CUDA's number for it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


NO_DRIVER = FakeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version", 35)
NO_DEVICE = FakeError("cudaErrorNoDevice: no CUDA-capable device is detected", 100)


def fake_cupy(
    devices: int = 2,
    error: Exception | None = None,
    *,
    driver: int = 13000,
    runtime: int = 13020,
    version: str = "14.2.0",
    use: Exception | None = None,
) -> SimpleNamespace:
    """Return a stand-in for CuPy as far as devices go; `used` lists those that were switched to."""
    used: list[int] = []

    def count() -> int:
        if error:
            raise error
        return devices

    class FakeArray:
        def __init__(self, values):
            self.values = np.asarray(values)

        def get(self):
            return self.values

    class FakeDevice:
        def __init__(self, index):
            self.index = index

        def use(self):
            if use:
                raise use
            used.append(self.index)

        def __enter__(self):
            used.append(self.index)

        def __exit__(self, *_):
            used.pop()

    functions = {"getDeviceCount": count, "driverGetVersion": lambda: driver, "runtimeGetVersion": lambda: runtime}
    cuda = SimpleNamespace(runtime=SimpleNamespace(**functions), Device=FakeDevice)
    arrays = {"ndarray": FakeArray, "asarray": lambda x, dtype=None: FakeArray(x)}
    return SimpleNamespace(cuda=cuda, used=used, __version__=version, **arrays)


def test_numpy_arrays_belong_to_numpy():
    assert array_module(np.zeros(3)) is np
    assert array_module(np.float32(1)) is np


def test_cupy_arrays_belong_to_cupy(monkeypatch):
    cupy = fake_cupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert array_module(cupy.ndarray([1])) is cupy
    assert to_numpy(cupy.ndarray([1, 2])).tolist() == [1, 2]


@pytest.mark.parametrize("value", [[1, 2], 3.0, None])
def test_what_is_no_array_is_refused(value):
    with pytest.raises(ArgumentError, match=rf"NumPy or CuPy array, got {type(value).__name__}.*numpy\.asarray"):
        array_module(value)


def test_to_numpy_copies_only_what_it_must():
    x = np.zeros(3)
    assert to_numpy(x) is x
    assert to_numpy([1, 2]).tolist() == [1, 2]


def test_the_cpu_is_always_there():
    cpu = Device.named("cpu")
    assert (cpu.kind, cpu.xp, str(cpu)) == ("cpu", np, "cpu")
    x = np.zeros(3, np.float32)
    assert cpu.asarray(x) is x
    assert cpu.asarray([1, 2], np.float64).dtype == np.float64


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "", "cpu:0", "cuda:0 "])
def test_unknown_devices_are_refused_with_the_known_ones(name):
    with pytest.raises(ArgumentError, match="auto, cpu, cuda or cuda:N") as caught:
        Device.named(name)
    assert repr(name) in str(caught.value)


def refusal(monkeypatch, cupy: object, name: str = "cuda") -> str:
    """Return what asking for a device says where `cupy` is what importing CuPy gives; `auto` must be the CPU then."""
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(DeviceError) as caught:
        Device.named(name)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(", or set device: cpu")
    if name == "cuda":
        auto = Device.named("auto")
        assert auto == Device("cpu")
        problem = auto.note.removeprefix("device auto: the CPU, since ").removesuffix(" (more: gpucnn doctor)")
        assert problem in message
    return message


def test_without_cupy_cuda_says_what_to_install_for_which_driver(monkeypatch):
    message = refusal(monkeypatch, None)  # importing it now fails
    for part in ("CuPy is not installed", '"gpucnn[cuda13]" (driver 580 or newer)', '"gpucnn[cuda12]" (driver 525 '):
        assert part in message


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            "raise ImportError('\\n=====\\nlibcublas.so.13: cannot open\\nmore')",
            "imported: libcublas.so.13: cannot open:",
        ),
        ("raise RuntimeError", "imported: RuntimeError:"),
        ("import fastrlock_that_is_missing", "imported: No module named 'fastrlock_that_is_missing':"),
    ],
)
def test_a_broken_cupy_says_what_is_broken(monkeypatch, tmp_path, source, problem):
    (tmp_path / "cupy.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    for name in ("auto", "cuda"):
        if name == "auto":
            assert problem[:-1] in Device.named(name).note
        else:
            with pytest.raises(DeviceError, match="install it again: pip install") as caught:
                Device.named(name)
            assert problem in str(caught.value)


def test_a_cupy_that_is_too_old_is_refused(monkeypatch):
    assert "CuPy 12.3.0 is too old, gpucnn needs 13 or newer: remove it" in refusal(
        monkeypatch, fake_cupy(version="12.3.0")
    )


def test_without_a_driver(monkeypatch):
    message = refusal(monkeypatch, fake_cupy(error=NO_DRIVER, driver=0))
    assert "there is no NVIDIA driver on this machine: install it; in a container" in message


@pytest.mark.parametrize(
    ("driver", "runtime", "parts"),
    [
        (
            12040,
            13020,
            ["runs CUDA 12.4,", "needs CUDA 13:", "580 or newer", 'replace CuPy by pip install "gpucnn[cuda12]"'],
        ),
        (11080, 12090, ["runs CUDA 11.8,", "needs CUDA 12:", "driver to 525 or newer, or set"]),
        (13000, 14010, ["needs CUDA 14:", "driver to a newer one", '"gpucnn[cuda13]"']),
    ],
)
def test_a_driver_that_is_too_old_is_told_with_what_is_needed(monkeypatch, driver, runtime, parts):
    message = refusal(monkeypatch, fake_cupy(error=NO_DRIVER, driver=driver, runtime=runtime))
    for part in ["the NVIDIA driver is too old", *parts]:
        assert part in message


def test_a_driver_that_fails_is_quoted(monkeypatch):
    message = refusal(monkeypatch, fake_cupy(error=RuntimeError("cudaErrorUnknown: oh")))
    assert "driver does not answer (cudaErrorUnknown: oh): see what nvidia-smi says" in message


def test_devices_are_counted(monkeypatch):
    cupy = fake_cupy(devices=2)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert Device.named("auto") == Device.named("cuda") == Device("cuda", 0)
    assert Device.named("auto").note == ""
    second = Device.named("cuda:1")
    assert (second, str(second), cupy.used[-1], second.xp) == (Device("cuda", 1), "cuda:1", 1, cupy)
    assert to_numpy(second.asarray([3])).tolist() == [3]


@pytest.mark.parametrize(
    ("devices", "choice"), [(1, "1 CUDA device: choose cuda:0,"), (3, "3 CUDA devices: choose cuda:0 to cuda:2,")]
)
def test_a_device_that_is_not_there(monkeypatch, devices, choice):
    message = refusal(monkeypatch, fake_cupy(devices=devices), "cuda:7")
    assert message.startswith(f"device cuda:7: this machine has {choice}")


@pytest.mark.parametrize("cupy", [fake_cupy(devices=0), fake_cupy(error=NO_DEVICE)])
def test_a_driver_without_devices_says_so(monkeypatch, cupy):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "this machine has no CUDA device: see" in refusal(monkeypatch, cupy)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "no CUDA device (CUDA_VISIBLE_DEVICES is '', which hides all others)" in refusal(monkeypatch, cupy)


def test_a_device_that_is_held_by_another(monkeypatch):
    message = refusal(monkeypatch, fake_cupy(use=FakeError("cudaErrorDevicesUnavailable: busy", 46)))
    assert message.startswith("device cuda:0: it cannot be used (cudaErrorDevicesUnavailable: busy): another process")
