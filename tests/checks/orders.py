"""In which orders threads run where kernels are executed on the CPU."""

import pytest

ONE_ORDER = ["warps 1", pytest.param("gpu", marks=pytest.mark.gpu)]
"""For the fixture `on_kernels`, where all orders are tried by others: one that is drawn, and a GPU's own."""
