"""The instructions that stand in ptx.cuh, on a GPU, against what they are in plain C++."""

from __future__ import annotations

import numpy as np
import pytest
from checks.probe import TOGETHER, all_floats, copied, wrong_roundings

pytestmark = pytest.mark.gpu


def test_every_float_and_every_half_is_rounded_alike(gpu):
    assert wrong_roundings(gpu.xp, all_floats()).get().tolist() == [0, 0, 0, 0]


def test_copies_into_shared_memory_arrive(gpu):
    x, y = copied(gpu.xp)
    np.testing.assert_array_equal(y.get(), np.stack([x.get()] * 3))


@pytest.mark.parametrize("probe", TOGETHER)
def test_what_warps_do_together_is_what_is_written_down(gpu, probe):
    if int(gpu.xp.cuda.Device().compute_capability) < 80:
        pytest.skip("the instructions are those of sm_80 and later")
    found, expected = probe(gpu.xp)
    np.testing.assert_array_equal(found.get(), expected)
