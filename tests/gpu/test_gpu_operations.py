"""Every operation on a GPU, by its reference through CuPy and by our kernels, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from checks.calls import CALLS, LARGE, LAYOUTS, WITHOUT_KERNELS, check, conv_calls

from gpucnn import ops
from gpucnn.dispatch import recorded, using
from gpucnn.random import Stream

pytestmark = pytest.mark.gpu

IMPLEMENTATIONS = ["reference", "fast"]


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_call(call, impl, gpu):
    if impl == "fast" and call.name in WITHOUT_KERNELS:
        pytest.skip("the reference computes it")
    for dtype in ("float32", "float64"):
        check(call, gpu, impl, dtype)


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "C order"])
def test_layouts(layout, impl, gpu):
    for call in CALLS:
        if impl == "reference" or call.name not in WITHOUT_KERNELS:
            check(call, gpu, impl, "float32", layout)


@pytest.mark.parametrize("call", list(conv_calls(LARGE)), ids=str)
def test_large_convolution(call, gpu):
    for dtype in ("float32", "float64"):
        check(call, gpu, "fast", dtype)


def test_kernels_are_what_runs(gpu):
    with recorded() as decisions:
        ops.relu(gpu.asarray(np.ones(3, np.float32)))
    assert [decision.implementation for decision in decisions] == ["gpucnn.cuda"]


def test_random_numbers_are_those_of_the_cpu(gpu):
    stream = Stream(2**40 + 5, "test", 7)
    for dtype in ("float32", "float64"):
        np.testing.assert_array_equal(stream.uniform((3, 101), dtype, gpu.xp).get(), stream.uniform((3, 101), dtype))


def test_special_values(gpu):
    """Infinities and NaN go through pooling, activations and softmax as on the CPU."""
    x = np.array([-np.inf, -1e4, -1.0, -0.0, 0.0, 1.0, 1e4, np.inf, np.nan], np.float32)
    images = np.full((1, 4, 6, 1), -np.inf)
    images[0, 1, 0, 0], images[0, 0, 2, 0], images[0, 3, 5, 0] = np.nan, np.inf, 1
    for impl in IMPLEMENTATIONS:
        with using(impl), np.errstate(all="ignore"):
            for name in ("relu", "leaky_relu", "sigmoid", "tanh", "softplus", "elu"):
                wanted = getattr(ops, name)(x) if impl == "reference" else expected(name, x)
                np.testing.assert_allclose(getattr(ops, name)(gpu.asarray(x)).get(), wanted, rtol=1e-5, err_msg=name)
            y, index = ops.max_pool2d(gpu.asarray(images), 2, padding=1)
        wanted = expected("max_pool2d", images, 2, padding=1)
        np.testing.assert_array_equal(y.get(), wanted[0])
        np.testing.assert_array_equal(index.get(), wanted[1])


def expected(name, *args, **options):
    """Return what the reference gives on NumPy."""
    with using("reference"):
        return getattr(ops, name)(*args, **options)
