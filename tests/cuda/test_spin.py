"""How long a device is kept busy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpucnn.cuda import spin
from gpucnn.cuda.spin import Spin


@pytest.mark.parametrize(("clock_khz", "cycles"), [(1_500_000, 3_000), (0, 4_000)])
def test_seconds_are_cycles_of_the_devices_clock(monkeypatch: pytest.MonkeyPatch, clock_khz: int, cycles: int) -> None:
    """Of 2 GHz where CUDA does not tell."""
    launched: list[Any] = []
    xp = SimpleNamespace(RawKernel=lambda source, name: lambda *launch: launched.append((name, *launch)))
    monkeypatch.setattr(spin, "devices", lambda: [{}, {"clock_khz": clock_khz}])
    device: Any = SimpleNamespace(xp=xp, index=1)
    Spin(device)(2e-6)
    ((name, grid, block, arguments),) = launched
    assert (name, grid, block, arguments) == ("spin", (1,), (1,), (cycles,))
    assert arguments[0].dtype == np.int64
