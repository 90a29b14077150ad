"""What tests of the fast CPU operations share: the two ways in which these are computed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpucnn.cpu import compiled


@pytest.fixture(scope="module", params=["compiled", "NumPy"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Compute by compiled loops, where numba is installed, then by NumPy alone."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    with compiled.using(request.param == "compiled"):
        yield request.param
