"""The instructions that stand in ptx.cuh, on a GPU, against what they are in plain C++."""

from __future__ import annotations

import numpy as np
import pytest
from checks.probe import all_floats, copied, wrong_roundings

pytestmark = pytest.mark.gpu


def test_every_float_and_every_half_is_rounded_alike(gpu):
    assert wrong_roundings(gpu.xp, all_floats()).get().tolist() == [0, 0, 0]


def test_copies_into_shared_memory_arrive(gpu):
    x, y = copied(gpu.xp)
    np.testing.assert_array_equal(y.get(), np.stack([x.get()] * 3))
