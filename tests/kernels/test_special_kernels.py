"""Kernels for small and special shapes, each family against the reference in float64, and bits against plain kernels."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, numbers
from checks.convolutions import off_by_one
from checks.halves import Half
from checks.plans import forced
from checks.windows import Conv, conv
from cushim.expected import reference, sizes

from gpucnn import numerics, ops
from gpucnn.cuda import bands, plans, sums
from gpucnn.cuda.families import band_weight
from gpucnn.dispatch import recorded

BANDS = {
    "first layer": conv((2, 9, 11, 3), (10, 3, 3, 3), padding=1),
    "first layer, 7x7, stride 2": conv((2, 15, 12, 1), (9, 7, 7, 1), stride=2, padding=3),
    "more than a stretch": conv((2, 10, 9, 16), (16, 3, 3, 16), padding=1),
    "more than a tile, stride 2 by 1": conv((1, 22, 15, 4), (40, 3, 2, 4), stride=(2, 1), padding=((0, 2), (1, 0))),
    "dilation": conv((1, 9, 11, 5), (5, 3, 2, 5), dilation=(2, 3), padding=((2, 4), (3, 1))),
    "more kernels than a block has": conv((1, 4, 5, 8), (84, 1, 2, 8)),
    "padding beyond the kernel": conv((1, 3, 3, 1), (2, 2, 2, 1), padding=3),
}
SLIDING = {
    "3x3": conv((2, 9, 11, 5), (5, 3, 3, 1), groups=5, padding=1),
    "3x3, stride 2": conv((1, 12, 7, 34), (34, 3, 3, 1), groups=34, stride=2, padding=((0, 1), (1, 2))),
    "3x3 times 2": conv((1, 5, 8, 3), (6, 3, 3, 1), groups=3),
    "5x5": conv((1, 8, 7, 6), (6, 5, 5, 1), groups=6, padding=2),
    "5x5, stride 2": conv((2, 11, 9, 3), (3, 5, 5, 1), groups=3, stride=2, padding=(4, 2)),
}
