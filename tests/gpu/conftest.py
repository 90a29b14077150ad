"""Tests on a GPU: `pytest -m gpu`. Without one they are skipped, or fail with --require-gpu."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from gpucnn.backend import Device


@pytest.fixture(scope="session")
def gpu() -> Iterator[Device]:
    """The first GPU.

    With GPUCNN_GPU_POOL=off every array is an allocation of its own: CuPy's pool cuts arrays out of large blocks, in
    which compute-sanitizer cannot see that a kernel reads beyond the end of one.
    """
    device = Device.named("cuda")
    if os.environ.get("GPUCNN_GPU_POOL") == "off":
        device.xp.cuda.set_allocator(None)
    yield device
    device.xp.cuda.Device(device.index).synchronize()  # what went wrong late shows here, not in another program
