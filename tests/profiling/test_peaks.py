"""Peaks: what is measured is counted right, whatever the clock says."""

from __future__ import annotations

import numpy as np
import pytest

from gpucnn.backend import Device
from gpucnn.profiling import peaks
from gpucnn.profiling.peaks import Peaks, measured


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operations_and_bytes_are_counted_for_the_best_round(
    small_peaks: None, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    seconds = iter([1.0, 4.0, 2.0, 4.0, 4.0, 4.0, 1.0, 8.0, 8.0, 8.0, 4.0, 8.0])  # each one's first is to warm up
    clock = {"now": 0.0, "calls": 0}

    def perf_counter() -> float:
        clock["calls"] += 1
        if clock["calls"] % 2 == 0:
            clock["now"] += next(seconds)
        return clock["now"]

    monkeypatch.setattr(peaks.time, "perf_counter", perf_counter)
    found = measured(Device("cpu"), np.dtype(dtype))
    assert found == Peaks(flops=2 * 16**3 / 2.0, bytes=2 * 2**14 / 4.0)


def test_halves_are_computed_in_float32_on_the_cpu(small_peaks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy's products of halves are a thousand times slower, and nothing uses them."""
    found: list[np.dtype] = []
    monkeypatch.setattr(peaks, "_product_seconds", lambda device, dtype, size: found.append(dtype) or 1.0)
    measured(Device("cpu"), np.dtype(np.float16))
    assert found == [np.float32]


def test_the_copy_is_whole() -> None:
    source, target = (np.full((peaks.BLOCKS, 3), value) for value in (1, 0))
    peaks._copy(source, target, Device("cpu"))
    assert target.all()


def test_the_better_of_two_measurements_counts() -> None:
    assert Peaks(1.0, 5.0).best(Peaks(2.0, 4.0)) == Peaks(2.0, 5.0)
