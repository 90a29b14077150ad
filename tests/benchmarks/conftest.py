"""A GPU that is not there, for the benchmark of one."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from cushim import cupy_stand_in

from benchmarks.commands import gpu as command
from gpucnn.backend import Device
from gpucnn.cuda import machine


class CpuClock:
    """Stands in for the device's clock: what runs on the CPU is done when the call returns."""

    cache_bytes = 1

    def __init__(self, device: Device) -> None:
        assert device.kind == "cuda"

    def queued(self, call: Any, calls: int) -> float:
        began = time.perf_counter()
        for i in range(calls):
            call(i)
        return (time.perf_counter() - began) / calls

    def interleaved(
        self, ways: Any, *, rounds: int, seconds: float, kinds: Any = ("queued",)
    ) -> dict[str, dict[str, list[float]]]:
        times = {}
        for name, way in ways.items():
            way.prepare()
            times[name] = {kind: [self.queued(way.call, 1) for _ in range(rounds)] for kind in kinds}
        return times

    @property
    def cuda(self) -> Any:
        return sys.modules["cupy"].cuda

    called = queued


@pytest.fixture
def cupy(monkeypatch):
    return cupy_stand_in.install(monkeypatch)


@pytest.fixture
def on_a_gpu(monkeypatch):
    monkeypatch.setattr(Device, "named", staticmethod(lambda name: Device("cuda", 0)))
    monkeypatch.setattr(machine, "devices", lambda: [{"index": 0, "name": "NVIDIA Test 9"}])
    monkeypatch.setattr(machine, "versions", lambda: {"cupy": "14"})
    monkeypatch.setattr(command.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="a, b\n"))


@pytest.fixture
def on_the_cpu(torch, cupy, monkeypatch):
    """What is timed, run on the CPU: PyTorch there, and ours on CuPy's stand-in. Returns the module of convolutions."""
    from benchmarks.gpu import ceilings, convolutions, exchange, modes, steps

    monkeypatch.setattr(exchange, "WHERE", "cpu")
    monkeypatch.setattr(exchange, "_tensor", lambda x: torch.from_numpy(x.get()))
    for module in (convolutions, steps):
        monkeypatch.setattr(module, "Clock", CpuClock)
    monkeypatch.setattr(ceilings, "COPY_BYTES", 2**12)
    monkeypatch.setattr(ceilings, "SIZE", 8)
    monkeypatch.setattr(modes, "IMPL", "reference")
    half = replace(modes.MODES["bf16"], name="fp16", dtype="float16", ours={"fp16": "fast"}, ceiling="float16")
    monkeypatch.setattr(convolutions, "MODES", {"float32": modes.MODES["float32"], "fp16": half})
    return convolutions
