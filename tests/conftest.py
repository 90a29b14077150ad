"""What all tests share: how hard hypothesis tries, seeded numbers, PyTorch where it is installed, what needs a GPU."""

from __future__ import annotations

import os
import warnings
from functools import cache
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


@pytest.fixture(scope="session", autouse=True)
def no_tuned_plans(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that was measured on this machine for its user changes what tests compute."""
    os.environ["GPUCNN_CACHE"] = str(tmp_path_factory.getbasetemp() / "nothing tuned")


@pytest.fixture(scope="session")
def torch() -> Any:
    """PyTorch, for tests marked `torch`; they are skipped where it is not installed."""
    module = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --require-gpu and --exhaustive."""
    parser.addoption("--exhaustive", action="store_true", help="run the tests marked exhaustive, too: minutes more")
    text = "without a GPU, tests marked gpu fail rather than skip; so they do with GPUCNN_REQUIRE_GPU=1"
    parser.addoption("--require-gpu", action="store_true", help=text)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked exhaustive unless asked for; those marked gpu where there is none, or fail them if required."""
    if item.get_closest_marker("exhaustive") and not item.config.getoption("--exhaustive"):
        pytest.skip("a sweep that takes minutes: --exhaustive")
    if item.get_closest_marker("gpu") and (reason := no_gpu()):
        if item.config.getoption("--require-gpu") or os.environ.get("GPUCNN_REQUIRE_GPU", "") not in ("", "0"):
            pytest.fail(f"a GPU is required: {reason}", pytrace=False)
        pytest.skip(reason)


@cache
def no_gpu() -> str | None:
    """Return why no GPU can be used here, or None."""
    from gpucnn.backend import Device
    from gpucnn.errors import DeviceError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy's import may warn of what is not needed here
        try:
            Device.named("cuda")
        except DeviceError as error:
            return str(error)
    return None
