"""The doctor: what it says of machines that are sound and of machines that are not, never with a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in

from gpucnn import ops
from gpucnn.cli import diagnosis, main
from gpucnn.data.mnist import Mnist
from gpucnn.errors import DataError


@pytest.fixture(autouse=True)
def no_data(monkeypatch, tmp_path):
    """No data sets but those that come with the package: the same lines on every machine."""
    monkeypatch.setenv("GPUCNN_DATA", str(tmp_path))
    for cls in diagnosis_data():
        monkeypatch.setattr(cls, "located", classmethod(lambda cls: "not found"))


def diagnosis_data() -> list[Any]:
    from gpucnn.data.base import Dataset

    return [cls for name, cls in Dataset.registry.classes.items() if name not in ("digits", "synthetic")]


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)


@pytest.fixture
def cupy(monkeypatch) -> Any:
    """CuPy's stand-in with one device, as far as the doctor asks; operations run by their references."""
    module = cupy_stand_in.install(monkeypatch)
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 1,
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13020,
        getDeviceProperties=lambda index: {"name": b"NVIDIA Test"},
        memGetInfo=lambda: (3 * 2**30, 8 * 2**30),
    )
    monkeypatch.setattr(module.cuda, "runtime", runtime)
    monkeypatch.setattr(module.cuda, "nvrtc", SimpleNamespace(getVersion=lambda: (13, 1)), raising=False)
    monkeypatch.setattr(cupy_stand_in.Device, "compute_capability", "120", raising=False)
    monkeypatch.setattr(cupy_stand_in.Device, "attributes", {"MultiProcessorCount": 4}, raising=False)
    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: None)
    return module


def doctor(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, str]]:
    """Return the exit code and the lines, those of a subject together, by its name; `end` is the last."""
    code = main(["doctor", *options])
    out, err = capsys.readouterr()
    assert err == ""
    assert "Traceback" not in out
    *lines, last = out.splitlines()
    found: dict[str, str] = {"end": last}
    for line in lines:
        state, subject, text = line[:4].strip(), line[6:24].strip(), line[26:]
        assert state in ("ok", "note", "fail"), line
        found[subject] = found.get(subject, "") + f"{state}: {text}\n"
    return code, found


def test_a_machine_without_a_gpu_is_sound(capsys, no_cupy):
    code, found = doctor(capsys)
    assert code == 0
    assert found["end"] == "nothing is broken"
    assert found["CuPy"].startswith(
        'note: CuPy is not installed; all runs on the CPU; remedy: pip install "gpucnn[cuda13]"'
    )
    assert found["CPU"] == "ok: convolution and its gradients are right\n"
    assert found["data digits"] == "ok: in the package\n"
    assert found["data mnist"] == "note: not found; remedy: gpucnn data fetch mnist\n"
    assert np.__version__ in found["NumPy"]
    assert int(found["kernels"].split()[1]) > 10
    assert "driver" not in found


def test_a_device_that_is_asked_for_has_to_work(capsys, no_cupy):
    code, found = doctor(capsys, "--device", "cuda")
    assert code == 1
    assert found["device"].startswith("fail: CuPy is not installed; remedy: pip install")
    assert found["end"] == "1 problem: see the lines that begin with fail"
    assert doctor(capsys, "--device", "cpu")[0] == 0


def test_json_holds_the_same(capsys, no_cupy):
    assert main(["doctor", "--json", "--device", "cuda:x"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["sound"] is False
    states = {finding["subject"]: finding["state"] for finding in report["findings"]}
    assert (states["CuPy"], states["device"], states["Python"]) == ("note", "fail", "ok")


def test_a_machine_with_a_gpu(capsys, cupy):
    code, found = doctor(capsys, "--device", "cuda")
    assert code == 0
    assert found["CuPy"] == "ok: 14.2.0, built for CUDA 13.2\n"
    assert found["driver"] == "ok: runs CUDA 13.0\n"
    assert found["NVRTC"] == "ok: 13.1\n"
    assert found["cuda:0"] == (
        "ok: NVIDIA Test, compute capability 12.0, 3.0 of 8.0 GiB free\n"
        "ok: convolution and its gradients are right, by reference\n"
    )
    assert found["device"] == "ok: cuda:0 can be used\n"


def test_the_drivers_own_version_is_asked_for(capsys, cupy, monkeypatch):
    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: "/bin/nvidia-smi")
    monkeypatch.setattr(diagnosis.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="580.1\n580.1\n"))
    assert doctor(capsys)[1]["driver"] == "ok: 580.1, runs CUDA 13.0\n"

    def fails(*_: Any, **__: Any) -> None:
        raise subprocess.TimeoutExpired("nvidia-smi", 20)

    monkeypatch.setattr(diagnosis.subprocess, "run", fails)
    assert doctor(capsys)[1]["driver"] == "ok: runs CUDA 13.0\n"


def test_a_driver_that_is_too_old_is_a_problem_with_a_remedy(capsys, cupy, monkeypatch):
    def too_old() -> int:
        error = RuntimeError("cudaErrorInsufficientDriver")
        error.status = 35
        raise error

    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", too_old)
    monkeypatch.setattr(cupy.cuda.runtime, "driverGetVersion", lambda: 12020)
    code, found = doctor(capsys)
    assert code == 1
    assert found["driver"].startswith("fail: the NVIDIA driver is too old: it runs CUDA 12.2,")
    assert "remedy: update the driver to 580" in found["driver"]
    assert "cuda:0" not in found


def test_without_nvrtc_nothing_compiles(capsys, cupy, monkeypatch):
    def missing() -> None:
        raise RuntimeError("Failure finding libnvrtc.so.13: no such file\nand more")

    monkeypatch.setattr(cupy.cuda.nvrtc, "getVersion", missing)
    code, found = doctor(capsys)
    assert code == 1
    assert '(Failure finding libnvrtc.so.13); remedy: pip install "cupy-cuda13x[ctk]"' in found["NVRTC"]


def test_a_device_that_computes_wrongly_is_found(capsys, cupy, monkeypatch):
    right = ops.conv2d_backward_weight
    monkeypatch.setattr(
        ops, "conv2d_backward_weight", lambda x, *rest, **options: right(x, *rest, **options) * wrong_on_a_gpu(x)
    )
    code, found = doctor(capsys)
    assert code == 1
    assert found["CPU"].startswith("ok")
    assert "fail: convolution, backward weight: differs from NumPy's by 0.001 of" in found["cuda:0"]


def wrong_on_a_gpu(x: Any) -> float:
    return 1.0 if isinstance(x, np.ndarray) else 1.001


def test_a_cpu_that_computes_wrongly_is_found(capsys, no_cupy, monkeypatch):
    right = ops.conv2d_backward_data
    monkeypatch.setattr(ops, "conv2d_backward_data", lambda *args, **options: right(*args, **options)[:, ::-1])
    code, found = doctor(capsys)
    assert code == 1
    assert found["CPU"] == "fail: convolution gives wrong results; remedy: install NumPy again\n"


def test_what_breaks_while_looking_is_a_finding(capsys, cupy, monkeypatch):
    def illegal(*_: Any, **__: Any) -> None:
        raise RuntimeError("cudaErrorIllegalAddress:\nan illegal memory access")

    monkeypatch.setattr(cupy_stand_in.ndarray, "get", illegal)
    code, found = doctor(capsys)
    assert code == 1
    assert "fail: RuntimeError: cudaErrorIllegalAddress: an illegal memory access; remedy:" in found["cuda:0"]
    assert found["plots"]  # it went on


def test_missing_kernels_and_damaged_data(capsys, no_cupy, monkeypatch):
    def damaged(self: Any) -> None:
        raise DataError("file x: expected 16 bytes\nfound 3")

    monkeypatch.setattr(Mnist, "located", classmethod(lambda cls: "somewhere"))
    monkeypatch.setattr(Mnist, "info", damaged)
    monkeypatch.setattr("gpucnn.cuda.sources.kernels", dict)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, found = doctor(capsys)
    assert code == 1
    assert found["data mnist"] == "fail: file x: expected 16 bytes found 3; remedy: gpucnn data fetch mnist\n"
    assert found["kernels"] == "fail: 0 in 0 files\n"
    assert found["plots"].startswith(
        'note: matplotlib is not installed: runs draw no plots; remedy: pip install "gpucnn['
    )
    assert found["end"].startswith("2 problems")


@pytest.mark.parametrize(("problem", "start"), [("", "ok: "), ("numba is not installed", "note: numba is not inst")])
def test_numba_may_be_missing(capsys, monkeypatch, no_cupy, problem, start):
    from gpucnn.cpu import compiled

    monkeypatch.setattr(compiled, "problem", lambda: problem)
    code, found = doctor(capsys)
    assert code == 0
    assert found["numba"].startswith(start)
    assert ('remedy: pip install --upgrade "gpucnn[cpu]"' in found["numba"]) == bool(problem)
