"""`gpucnn profile` on a CUDA device, through CuPy's stand-in: the kernels run on the CPU, its events are the host's."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cushim import cupy_stand_in
from kernels.test_training_on_kernels import CONFIG

from gpucnn.backend import Device
from gpucnn.cli.profile import as_text
from gpucnn.config import load
from gpucnn.cuda import launch, plans
from gpucnn.cuda.families import plain
from gpucnn.profiling import meters, peaks
from gpucnn.profiling.measure import profile
from gpucnn.profiling.seams import ELSEWHERE


@pytest.fixture
def cuda(modules: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """CuPy's stand-in with kernels, which cannot spin; peaks are measured with small arrays."""
    monkeypatch.setattr(meters, "Spin", lambda device: lambda seconds: None)
    for name, value in {"CPU_SIZE": 16, "GPU_SIZE": 16, "COPY_BYTES": 2**14}.items():
        monkeypatch.setattr(peaks, name, value)
    return cupy_stand_in.install(monkeypatch, lambda kernel, dtype: modules[dtype].get_function(kernel.name))


def test_kernels_and_launches_are_told(cuda: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "families", lambda: {"plain": plain})
    before = dict(launch.compilers)
    found = profile(load(CONFIG), Device.named("cuda"), 2)
    assert launch.compilers == before
    by = {tuple(row.part): row.computed_by for row in found.rows}
    normed = "conv2d_forward, batch_norm_part_statistics, batch_norm_merge_statistics, batch_norm_max_pool2d_forward"
    assert by["0.conv2d", "forward"] == f"gpucnn.cuda: plain ({normed})"
    assert by["0.conv2d", "backward weight"] == "gpucnn.cuda: plain pieces=1 (conv2d_backward_weight)"
    other = {tuple(row.part): row.runner_up for row in found.rows}
    assert re.fullmatch(r"plain pieces=2, \d\.\d\dx by estimate", other["0.conv2d", "backward weight"])
    assert other["4.residual", "forward"] == "-"
    assert by["4.residual", "forward"] == "gpucnn.cuda: add"
    assert by["optimizer", "update"] == "gpucnn.cuda: sgd_update"
    expected = {row.part: row.work for row in profile(load(CONFIG), Device("cpu"), 1).rows}
    for row in found.rows:
        ended = row.part.path == "4.residual.layers.0.conv2d"  # by a gelu, which saves what the convolution does
        ended = ended or tuple(row.part) == ("0.conv2d", "forward")  # which has its norm's arrays, too
        if row.label.endswith(("conv2d", "dense", "residual", "optimizer")) and not ended:
            assert (row.work.flops, row.work.bytes) == (expected[row.part].flops, expected[row.part].bytes)
    assert found.on_gpu
    assert all(row.host and row.host > 0 for row in found.rows if row.part.what != ELSEWHERE)
    assert {row.part.path for row in found.rows if row.part.what == ELSEWHERE} == {
        "1.batch_norm",
        "2.relu",
        "3.max_pool2d",
        "4.residual.layers.1.gelu",
    }
    assert found.step == found.plain
    assert "The parts keep the GPU busy for " in as_text(found)


def test_the_losses_are_those_of_the_cpu(cuda: Any) -> None:
    """To roundings, in float64: steps that are cut in three ways are one training."""
    found = profile(load(CONFIG), Device.named("cuda"), 2).losses
    assert len(found) == 3 + 3 * 2
    expected = profile(load(CONFIG), Device("cpu"), 3).losses
    assert found == pytest.approx(expected, rel=1e-9)
