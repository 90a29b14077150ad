"""What all tests share: how hard hypothesis tries, a seeded source of numbers, and PyTorch where it is installed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# GPUCNN_HYPOTHESIS=thorough draws new and many more examples; by default every run is the same.
settings.register_profile("default", derandomize=True, max_examples=100, deadline=None, print_blob=True)
settings.register_profile(
    "thorough", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("GPUCNN_HYPOTHESIS", "default"))


@pytest.fixture
def rng() -> np.random.Generator:
    """A source of numbers that is the same in every run."""
    return np.random.default_rng(20260101)


@pytest.fixture(scope="session")
def torch() -> Any:
    """PyTorch, for tests marked `torch`; they are skipped where it is not installed."""
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module
