"""Fast convolutions against the reference in float64, within bounds that are derived."""

from __future__ import annotations

import numpy as np
import pytest
from checks.arrays import assert_near, held, layouts, numbers, seeds, unchanged
from checks.windows import Conv, conv, paddings, sizes
from hypothesis import example, given
from hypothesis import strategies as st

from gpucnn import numerics, ops
from gpucnn.cpu import compiled, patches, pointwise, winograd
from gpucnn.cpu import conv2d as room
from gpucnn.cpu.winograd_matrices import exact_matrices
from gpucnn.dispatch import using
from gpucnn.ops.window import Window

CHANNELS = [(1, 1, 5), (1, 3, 16), (1, 16, 17), (1, 19, 16), (5, 1, 2), (18, 1, 1), (2, 3, 4), (2, 16, 16)]
"""Groups, and the channels of a group, in and out."""

NEEDS_NUMBA = pytest.mark.skipif(not compiled.available(), reason="numba is not installed")
LOOPS = [pytest.param(True, id="compiled", marks=NEEDS_NUMBA), pytest.param(False, id="numpy")]
"""Whether loops are compiled."""


@st.composite
def wide_convs(draw: st.DrawFn) -> Conv:
    """Draw a convolution whose channels make every form apply: few, many, grouped, depthwise."""
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (5, 5), (3, 3), (5, 5), (2, 3), (1, 4)]))
    stride, dilation = draw(st.sampled_from([1, 1, 2, (1, 3)])), draw(st.sampled_from([1, 1, 1, 2]))
    padding = draw(paddings(3))
    size = tuple(n + draw(st.integers(0, 8)) for n in draw(sizes(kernel, dilation, padding)))
    groups, depth, k = draw(
        st.sampled_from(
            [(1, 1, 5), (1, 3, 16), (1, 16, 17), (1, 19, 16), (1, 5, 48), (5, 1, 2), (2, 3, 4), (2, 16, 16)]
        )
    )
    shape = (draw(st.integers(1, 4)), *size, groups * depth)
    return conv(shape, (groups * k, *kernel, depth), stride, padding, dilation, groups)


def form(case: Conv) -> object:
    """Return the module that computes it."""
    return room._form(
        case.w_shape, Window.over(case.x_shape[1:3], case.w_shape[1:3], *list(case.arguments.values())[:3])
    )


def reach(r: int) -> tuple[float, float]:
    """Return by how much Winograd's transforms can make numbers grow: forward, and in the gradient of the kernels.

    With |d| <= D and |g| <= G, all that is summed for an output in one direction is no more than
    |A^T| (|G| 1 * |B^T| 1) D G, and for a gradient of the kernels with |dy| <= Y no more than
    |G^T| (|B^T| 1 * |A| 1) D Y: 1 is a vector of ones, so that a matrix times 1 is the sums of its rows. Both
    directions multiply.
    """
    data, taps, output = (np.abs(np.array(matrix, dtype=float)) for matrix in exact_matrices(r))
    sums = data.sum(axis=1)
    return (output @ (taps.sum(axis=1) * sums)).max() ** 2, (taps.T @ (sums * output.sum(axis=0))).max() ** 2


@pytest.mark.parametrize("loops", LOOPS)
@given(wide_convs(), seeds, layouts, layouts, st.sampled_from(["fast", "exact"]))
@example(conv((2, 14, 14, 16), (16, 5, 5, 16), padding=2), 0, "C order", "C order", "fast")
@example(conv((3, 13, 11, 16), (17, 3, 3, 16), padding=1), 0, "slice of a larger array", "transposed", "fast")
@example(conv((1, 5, 5, 16), (16, 3, 3, 16), padding=3), 0, "C order", "C order", "fast")
@example(conv((2, 28, 27, 1), (32, 5, 5, 1), padding=2), 0, "C order", "C order", "fast")
@example(conv((2, 17, 18, 3), (48, 3, 3, 3), padding=1, stride=2), 0, "C order", "transposed", "fast")
@example(conv((2, 9, 34, 16), (32, 3, 3, 16)), 0, "C order", "C order", "exact")
@example(conv((3, 5, 4, 7), (11, 5, 4, 7)), 0, "transposed", "C order", "fast")
@example(conv((3, 5, 5, 7), (11, 5, 5, 7), stride=3, padding=1), 0, "C order", "C order", "fast")
def test_it_is_the_reference(loops, case, seed, layout, other, kind):
    y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
    x, w, dy, b = numbers(seed, case.x_shape, case.w_shape, y_shape, case.w_shape[:1], dtype=np.float32)
    (n, p, q, k), (_, r, s, depth), groups = y_shape, case.w_shape, case.arguments["groups"]
    x_held, w_held, dy_held = held(x, layout), held(w, other), held(dy, layout)
    with compiled.using(loops), numerics.using(kind), using("fast"):
        y = unchanged(ops.conv2d, x_held, w_held, b, **case.arguments)
        dx = unchanged(ops.conv2d_backward_data, dy_held, w_held, x.shape, **case.arguments)
        dw = unchanged(ops.conv2d_backward_weight, x_held, dy_held, w.shape, **case.arguments)
    assert all(array.flags.c_contiguous for array in (y, dx, dw))
    x, w, dy, b = (np.float64(array) for array in (x, w, dy, b))
    sizes, more = [0.0, 0.0, 0.0], 0
    if kind == "fast" and (r, s) in ((3, 3), (5, 5)):
        forward, weight = reach(r)
        seen, other_way, taps = (np.abs(a).max(initial=0) for a in (x, dy, w))
        tiles = n * -(-p // 4) * -(-q // 4)
        sizes = [forward * depth * seen * taps, forward * k * other_way * taps, weight * tiles * seen * other_way]
        more = 4 * (3 + r) + 2 * r + 8  # roundings of two transforms to, one from, and of the matrices' fractions
    a = case.arguments
    with using("reference"):
        size = ops.conv2d(abs(x), abs(w), abs(b), **a) + sizes[0]
        assert_near(y, ops.conv2d(x, w, b, **a), np.float32, size, r * s * depth + 1 + more)
        size = ops.conv2d_backward_data(abs(dy), abs(w), x.shape, **a) + sizes[1]
        assert_near(dx, ops.conv2d_backward_data(dy, w, x.shape, **a), np.float32, size, r * s * k // groups + more)
        size = ops.conv2d_backward_weight(abs(x), abs(dy), w.shape, **a) + sizes[2]
        assert_near(dw, ops.conv2d_backward_weight(x, dy, w.shape, **a), np.float32, size, n * p * q + more)


FORMS = {
    "1x1": (conv((2, 8, 8, 3), (4, 1, 1, 3)), pointwise),
    "1x1 with a stride": (conv((2, 8, 8, 3), (4, 1, 1, 3), stride=2), patches),
    "3x3": (conv((2, 8, 8, 16), (16, 3, 3, 16), padding=1), winograd),
    "5x5": (conv((2, 14, 14, 32), (64, 5, 5, 32), padding=2), winograd),
    "7x7": (conv((2, 14, 14, 32), (64, 7, 7, 32), padding=3), patches),
    "3x3 with a stride": (conv((2, 8, 8, 16), (16, 3, 3, 16), stride=2), patches),
    "3x3 with dilation": (conv((2, 8, 8, 16), (16, 3, 3, 16), dilation=2), patches),
    "first layer": (conv((2, 28, 28, 1), (32, 5, 5, 1), padding=2), patches),
    "tiles mostly cut off": (conv((2, 3, 3, 16), (16, 3, 3, 16)), patches),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_form_is_chosen_by_the_shape(name):
    case, expected = FORMS[name]
    with compiled.using(False):
        assert form(case) is expected
        with numerics.using("exact"):
            assert form(case) is (patches if expected is winograd else expected)


COMPILED_FORMS = {
    "1x1": "direct",
    "1x1 with a stride": "direct",
    "3x3": "winograd",
    "5x5": "winograd",
    "7x7": "direct",
    "3x3 with a stride": "direct",
    "first layer": "direct",
    "tiles mostly cut off": "direct",
}


@NEEDS_NUMBA
@pytest.mark.parametrize("name", FORMS)
def test_the_compiled_form_is_chosen_by_the_shape(name):
    case, numpy_form = FORMS[name]
    expected = f"gpucnn.cpu.compiled.{COMPILED_FORMS[name]}" if name in COMPILED_FORMS else numpy_form.__name__
    assert form(case).__name__ == expected
    with numerics.using("exact"):
        assert form(case).__name__ == expected.replace("winograd", "direct")


@pytest.mark.parametrize("loops", LOOPS)
@pytest.mark.parametrize(("r", "usual"), [(3, 1e-5), (5, 2e-5)])
def test_winograd_rounds_little_more_than_the_direct_sum(loops, r, usual, rng):
    """On numbers as networks have them: the largest error is a few times, not `reach` times, that of the sum."""
    x, w = rng.standard_normal((4, 16, 16, 64)), rng.standard_normal((64, r, r, 64))
    with using("reference"):
        expected = ops.conv2d(x, w, padding=r // 2)
    worst = {}
    for kind in ("fast", "exact"):
        with compiled.using(loops), numerics.using(kind), using("fast"):
            y = ops.conv2d(np.float32(x), np.float32(w), padding=r // 2)
        worst[kind] = np.abs(y - expected).max() / np.abs(expected).max()
    assert worst["exact"] < 1e-6
    assert worst["exact"] < worst["fast"] < usual


@pytest.mark.parametrize("r", [3, 5])
def test_the_matrices_give_the_correlation_exactly(r):
    """In fractions, nothing is rounded."""
    from fractions import Fraction

    data, taps, output = exact_matrices(r)
    d = [Fraction(n * n - 3 * n, 7) for n in range(r + 3)]
    g = [Fraction(5 - n, 3) for n in range(r)]

    def times(matrix, vector):
        return [sum((m * v for m, v in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]

    products = [a * b for a, b in zip(times(taps, g), times(data, d), strict=True)]
    assert times(output, products) == [sum(d[i + k] * g[k] for k in range(r)) for i in range(4)]


def test_large_images_are_cut_into_bands(monkeypatch, rng):
    """Blocks of two rows of tiles at most give what one block gives, but for the order in which BLAS adds."""
    x, w, dy = (rng.standard_normal(s).astype(np.float32) for s in ((2, 23, 9, 16), (16, 3, 3, 16), (2, 23, 9, 16)))
    with compiled.using(False):
        whole = ops.conv2d(x, w, padding=1), ops.conv2d_backward_weight(x, dy, w.shape, padding=1)
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 4 * 36 * 3 * 32 * 2)
    blocks = winograd.blocks_of(2, w.shape, Window.over((23, 9), 3, 1, 1))
    assert [block.band for block in blocks] == [slice(0, 4), slice(4, 12), slice(12, 16), slice(16, 23)] * 2
    with compiled.using(False):
        bands = ops.conv2d(x, w, padding=1), ops.conv2d_backward_weight(x, dy, w.shape, padding=1)
    for one, several in zip(whole, bands, strict=True):
        np.testing.assert_allclose(several, one, rtol=0, atol=1e-3)


@NEEDS_NUMBA
@pytest.mark.parametrize("kind", ["fast", "exact"])
@pytest.mark.parametrize("stride", [1, 2])
def test_compiled_bands_give_what_whole_images_give(kind, stride, monkeypatch, rng):
    """One row of outputs, or of tiles, at a time, and blocks of one unit: the same sums, in another order at most."""
    from gpucnn.cpu.compiled import direct, work
    from gpucnn.cpu.compiled import winograd as transformed

    shapes = (2, 23, 19, 16), (16, 3, 3, 16), (2, 22 // stride + 1, 18 // stride + 1, 16)
    x, w, dy = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)

    def results():
        a = {"padding": 1, "stride": stride}
        with numerics.using(kind), using("fast"):
            return [
                ops.conv2d(x, w, **a),
                ops.conv2d_backward_data(dy, w, x.shape, **a),
                ops.conv2d_backward_weight(x, dy, w.shape, **a),
            ]

    whole = results()
    for module, name in (
        (direct, "BAND_BYTES"),
        (transformed, "BAND_BYTES"),
        (transformed, "CACHE_BYTES"),
        (work, "BLOCK_PRODUCTS"),
    ):
        monkeypatch.setattr(module, name, 1)
    for one, several in zip(whole, results(), strict=True):
        np.testing.assert_allclose(several, one, rtol=0, atol=1e-3)


@pytest.mark.parametrize("loops", LOOPS)
@pytest.mark.parametrize("groups", [1, 2, 16])
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_an_empty_batch(loops, groups, kernel):
    x, w = np.zeros((0, 8, 8, 16), np.float32), np.ones((16, kernel, kernel, 16 // groups), np.float32)
    with compiled.using(loops), using("fast"):
        y = ops.conv2d(x, w, groups=groups)
        assert y.shape == (0, 9 - kernel, 9 - kernel, 16)
        assert ops.conv2d_backward_data(y, w, x.shape, groups=groups).shape == x.shape
        dw = ops.conv2d_backward_weight(x, y, w.shape, groups=groups)
    assert dw.shape == w.shape
    assert not dw.any()
