"""Depthwise convolution by compiled loops and by NumPy against the reference in float64, within derived bounds."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, held, layouts, numbers, seeds, unchanged
from checks.windows import conv, paddings, sizes
from hypothesis import example, given
from hypothesis import strategies as st

from gpucnn import numerics, ops
from gpucnn.cpu import compiled
from gpucnn.dispatch import using

ways = st.sampled_from([True, False])
"""Compiled, where numba is installed, and not."""


@st.composite
def depthwise(draw: st.DrawFn):
    """Draw a depthwise convolution of any geometry, mostly of one kernel a channel."""
    kernel = draw(st.sampled_from([(3, 3), (3, 3), (1, 1), (5, 5), (2, 3), (1, 4), (1, 13)]))
    stride, dilation = draw(st.sampled_from([1, 1, 2, 3, (1, 3), (2, 1)])), draw(st.sampled_from([1, 1, 1, 2, (3, 2)]))
    padding = draw(paddings(3))
    size = tuple(n + draw(st.integers(0, 8)) for n in draw(sizes(kernel, dilation, padding)))
    channels, multiplier = draw(st.sampled_from([(1, 1), (18, 1), (7, 1), (5, 2), (32, 1), (53, 1)]))
    shape = (draw(st.integers(1, 4)), *size, channels)
    return conv(shape, (channels * multiplier, *kernel, 1), stride, padding, dilation, channels)


@given(depthwise(), seeds, layouts, layouts, ways)
@example(conv((3, 9, 11, 18), (18, 3, 3, 1), padding=1, groups=18), 0, "C order", "C order", True)
@example(conv((2, 5, 300, 7), (7, 3, 3, 1), 2, 1, 1, 7), 0, "C order", "C order", True)  # several runs in a row
def test_it_is_the_reference(case, seed, layout, other, way):
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    x, w, dy, b = numbers(seed, case.x_shape, case.w_shape, y_shape, case.w_shape[:1], dtype=np.float32)
    x_held, w_held, dy_held = held(x, layout), held(w, other), held(dy, layout)
    with compiled.using(way), numerics.using("exact"), using("fast"):
        y = unchanged(ops.conv2d, x_held, w_held, b, **case.arguments)
        dx = unchanged(ops.conv2d_backward_data, dy_held, w_held, x.shape, **case.arguments)
        dw = unchanged(ops.conv2d_backward_weight, x_held, dy_held, w.shape, **case.arguments)
    assert all(array.flags.c_contiguous for array in (y, dx, dw))
    x, w, dy, b = (np.float64(array) for array in (x, w, dy, b))
    a, (k, r, s, _), (n, p, q, _) = case.arguments, case.w_shape, y_shape
    with using("reference"):
        assert_near(y, ops.conv2d(x, w, b, **a), np.float32, ops.conv2d(abs(x), abs(w), abs(b), **a), r * s + 1)
        size = ops.conv2d_backward_data(abs(dy), abs(w), x.shape, **a)
        terms = r * s * k // x.shape[3]
        assert_near(dx, ops.conv2d_backward_data(dy, w, x.shape, **a), np.float32, size, terms)
        size = ops.conv2d_backward_weight(abs(x), abs(dy), w.shape, **a)
        assert_near(dw, ops.conv2d_backward_weight(x, dy, w.shape, **a), np.float32, size, n * p * q)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 1, 1), (3, 2, 2), (2, 3, 1)])
@pytest.mark.parametrize("channels", [6, 40])
def test_images_are_copied_in_bands_of_rows(kernel, stride, dilation, channels, monkeypatch, rng):
    """To the bit what comes of whole images, but for the order in which gradients of kernels are added."""
    pytest.importorskip("numba")
    from gpucnn.cpu.compiled import depthwise

    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((2, 23, 9, channels), (channels, kernel, kernel, 1)))
    options = {"stride": stride, "padding": 1, "dilation": dilation, "groups": channels}

    def passes():
        y = ops.conv2d(x, w, **options)
        return (
            y,
            ops.conv2d_backward_data(y, w, x.shape, **options),
            ops.conv2d_backward_weight(x, y, w.shape, **options),
        )

    whole = passes()
    asked = []
    monkeypatch.setattr(depthwise, "BAND_BYTES", 4 * 16 * 14 * 6)
    hold = depthwise._geometry
    monkeypatch.setattr(depthwise, "_geometry", lambda *given: asked.append(hold(*given)) or asked[-1])
    for one, other, exact in zip(whole, passes(), (True, True, False), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=0 if exact else 1e-6 * abs(other).max())
    assert max(bands for _, bands, *_ in asked) > 1
