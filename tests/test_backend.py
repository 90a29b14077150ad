"""Devices are found, refused with what to do, and CuPy is left alone until one is asked for."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from gpucnn.backend import Device, array_module, to_numpy
from gpucnn.errors import ArgumentError, DeviceError


def fake_cupy(devices: int = 2, error: Exception | None = None) -> SimpleNamespace:
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
            used.append(self.index)

        def __enter__(self):
            used.append(self.index)

        def __exit__(self, *_):
            used.pop()

    cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count), Device=FakeDevice)
    return SimpleNamespace(cuda=cuda, ndarray=FakeArray, asarray=lambda x, dtype=None: FakeArray(x), used=used)


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


def test_without_cupy_auto_is_the_cpu_and_cuda_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # importing it now fails
    assert Device.named("auto") == Device("cpu")
    with pytest.raises(DeviceError, match=r"needs CuPy.*pip install .*cuda13.*device: cpu"):
        Device.named("cuda")


def test_without_a_driver_auto_is_the_cpu_and_cuda_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(error=RuntimeError("cudaErrorNoDevice")))
    assert Device.named("auto") == Device("cpu")
    with pytest.raises(DeviceError, match=r"driver does not answer \(cudaErrorNoDevice\).*nvidia-smi"):
        Device.named("cuda:0")


def test_devices_are_counted(monkeypatch):
    cupy = fake_cupy(devices=2)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert Device.named("auto") == Device.named("cuda") == Device("cuda", 0)
    second = Device.named("cuda:1")
    assert (second, str(second), cupy.used[-1], second.xp) == (Device("cuda", 1), "cuda:1", 1, cupy)
    assert to_numpy(second.asarray([3])).tolist() == [3]
    with pytest.raises(DeviceError, match=r"cuda:2.*2 CUDA device\(s\).*0 to 1"):
        Device.named("cuda:2")


def test_a_driver_without_devices_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(devices=0))
    assert Device.named("auto") == Device("cpu")
    with pytest.raises(DeviceError, match="no CUDA device"):
        Device.named("cuda")
