from __future__ import annotations

import os

import pytest

from gpucnn.data.fashion_mnist import FashionMnist

_REAL = os.environ.get("GPUCNN_DATA")
_SYSTEM = FashionMnist.system


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch, tmp_path):
    """Let no test find the data sets of whoever runs it."""
    monkeypatch.delenv("GPUCNN_DATA", raising=False)
    monkeypatch.setattr("gpucnn.data.places.platformdirs.user_cache_dir", lambda app: str(tmp_path / "cache" / app))
    monkeypatch.setattr(FashionMnist, "system", ())


@pytest.fixture
def _real_data(monkeypatch):
    """Let a test find what whoever runs it has: below $GPUCNN_DATA, and where the system puts it."""
    if _REAL:
        monkeypatch.setenv("GPUCNN_DATA", _REAL)
    monkeypatch.setattr(FashionMnist, "system", _SYSTEM)
