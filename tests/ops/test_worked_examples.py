"""Examples that texts on backpropagation in convolutional networks work out by hand, number by number.

`conv2d` is a correlation: it lays the kernel on the input as it is written. A text that convolves, y = x * k, turns the
kernel by 180 degrees first: its k is our w turned, and its weight gradient is ours turned. What such texts call the
full convolution of delta with the kernel, or the full correlation with rot180 of it, is `conv2d_backward_data`; what
they call the valid correlation of the input with delta is `conv2d_backward_weight`. A one-dimensional example is a map
of height 1.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gpucnn import ops


def as_map(rows) -> np.ndarray:
    """Return a table of numbers as one image of one channel, or as one kernel of one channel."""
    table = np.atleast_2d(np.array(rows, dtype=np.float64))
    return table.reshape(1, *table.shape, 1)


def table(image: np.ndarray) -> np.ndarray:
    return image[0, :, :, 0]


def test_weight_gradient_of_a_5x5_map_with_a_sparse_delta():
    """Worked example: a 2x2 kernel over a 5x5 map; max pooling has left four of the sixteen deltas.

    dw[0,0] = .88*.0686 + .62*.0364 + .2*.0467 - .7*.0681 = .044606, and likewise for the others.
    """
    x = as_map(
        [
            [0.51, 0.90, 0.88, 0.84, 0.05],
            [0.40, 0.62, 0.22, 0.59, 0.10],
            [0.11, 0.20, 0.74, 0.33, 0.14],
            [0.47, 0.01, 0.85, 0.70, 0.09],
            [0.76, 0.19, 0.72, 0.17, 0.57],
        ]
    )
    delta = as_map([[0, 0, 0.0686, 0], [0, 0.0364, 0, 0], [0, 0.0467, 0, 0], [0, 0, 0, -0.0681]])
    dw = table(ops.conv2d_backward_weight(x, delta, (1, 2, 2, 1)))
    np.testing.assert_allclose(dw, [[0.044606, 0.094061], [0.011262, 0.068288]], atol=5e-7)  # printed to six places
    assert table(ops.conv2d_backward_bias(delta)[None, None, None]).item() == pytest.approx(0.0836)


def test_one_dimension_forward_and_both_gradients():
    """Worked example: y1 = 1*.3 + 2*.5, y2 = 2*.3 + 3*.5; dw1 = -.1*1 + .2*2; dx2 = -.1*.5 + .2*.3."""
    x, w, delta = as_map([1, 2, 3]), as_map([0.3, 0.5]), as_map([-0.1, 0.2])
    np.testing.assert_allclose(table(ops.conv2d(x, w)), [[1.3, 2.1]], rtol=1e-15)
    np.testing.assert_allclose(table(ops.conv2d_backward_weight(x, delta, w.shape)), [[0.3, 0.4]], rtol=1e-15)
    np.testing.assert_allclose(table(ops.conv2d_backward_data(delta, w, x.shape)), [[-0.03, 0.01, 0.1]], rtol=1e-14)


def test_input_delta_of_a_2x2_kernel_over_a_3x3_map():
    """Worked example of the full correlation with the turned kernel: 1*.6 + 1*.5 + 2*.3 + 3*.2 = 2.3 in the middle."""
    delta, w = as_map([[1, 1], [2, 3]]), as_map([[0.2, 0.3], [0.5, 0.6]])
    dx = table(ops.conv2d_backward_data(delta, w, (1, 3, 3, 1)))
    by_hand = [
        [1 * 0.2, 1 * 0.3 + 1 * 0.2, 1 * 0.3],
        [1 * 0.5 + 2 * 0.2, 1 * 0.6 + 1 * 0.5 + 2 * 0.3 + 3 * 0.2, 1 * 0.6 + 3 * 0.3],
        [2 * 0.5, 2 * 0.6 + 3 * 0.5, 3 * 0.6],
    ]
    np.testing.assert_allclose(dx, by_hand, rtol=1e-15)
    np.testing.assert_allclose(dx, [[0.2, 0.5, 0.3], [0.9, 2.3, 1.5], [1.0, 2.7, 1.8]], rtol=1e-15)


def test_input_delta_is_the_full_correlation_with_the_turned_kernel():
    """The rule those examples stand for: delta with a border of zeros, and w turned by 180 degrees."""
    delta, w = as_map([[1, 1], [2, 3]]), as_map([[0.2, 0.3], [0.5, 0.6]])
    full = ops.conv2d(delta, np.ascontiguousarray(w[:, ::-1, ::-1]), padding=1)
    np.testing.assert_allclose(ops.conv2d_backward_data(delta, w, (1, 3, 3, 1)), full, rtol=1e-15)


def test_mean_up_sampling_of_a_delta():
    """A mean over 2x2 gives each of its four inputs a quarter of delta: the Kronecker product with ones, over four.

    Source: J. Bouvrie, "Notes on Convolutional Neural Networks", 2006, on sub-sampling layers.
    """
    dx = table(ops.avg_pool2d_backward(as_map([[1, 3], [2, 4]]), (1, 4, 4, 1), 2))
    assert dx.tolist() == [
        [0.25, 0.25, 0.75, 0.75],
        [0.25, 0.25, 0.75, 0.75],
        [0.50, 0.50, 1.00, 1.00],
        [0.50, 0.50, 1.00, 1.00],
    ]


def test_max_up_sampling_of_a_delta():
    """A maximum over 2x2 hands delta to where the maximum stood, here in each of the four places once."""
    x = as_map([[9, 1, 2, 8], [3, 4, 5, 6], [1, 2, 3, 4], [7, 0, 2, 5]])
    y, index = ops.max_pool2d(x, 2)
    assert table(y).tolist() == [[9, 8], [7, 5]]
    assert table(index).tolist() == [[0, 1], [2, 3]]
    dx = table(ops.max_pool2d_backward(as_map([[1, 3], [2, 4]]), index, x.shape, 2))
    assert dx.tolist() == [[1, 0, 0, 3], [0, 0, 0, 0], [0, 0, 0, 0], [2, 0, 0, 4]]


# A 3x3 input, a 2x2 kernel and a 2x2 delta, symbol by symbol, as every derivation writes them out.
FORWARD = {
    "y11": "x11w11 + x12w12 + x21w21 + x22w22",
    "y12": "x12w11 + x13w12 + x22w21 + x23w22",
    "y21": "x21w11 + x22w12 + x31w21 + x32w22",
    "y22": "x22w11 + x23w12 + x32w21 + x33w22",
}
BACKWARD_WEIGHT = {
    "w11": "x11d11 + x12d12 + x21d21 + x22d22",
    "w12": "x12d11 + x13d12 + x22d21 + x23d22",
    "w21": "x21d11 + x22d12 + x31d21 + x32d22",
    "w22": "x22d11 + x23d12 + x32d21 + x33d22",
}
BACKWARD_DATA = {
    "x11": "d11w11",
    "x12": "d11w12 + d12w11",
    "x13": "d12w12",
    "x21": "d11w21 + d21w11",
    "x22": "d11w22 + d12w21 + d21w12 + d22w11",
    "x23": "d12w22 + d22w12",
    "x31": "d21w21",
    "x32": "d21w22 + d22w21",
    "x33": "d22w22",
}


@pytest.mark.parametrize(
    ("formulas", "size", "left", "right", "call"),
    [
        (FORWARD, 2, ("x", 3), ("w", 2), ops.conv2d),
        (BACKWARD_WEIGHT, 2, ("x", 3), ("d", 2), lambda x, d: ops.conv2d_backward_weight(x, d, (1, 2, 2, 1))),
        (BACKWARD_DATA, 3, ("d", 2), ("w", 2), lambda d, w: ops.conv2d_backward_data(d, w, (1, 3, 3, 1))),
    ],
    ids=["forward", "weight gradient", "input delta"],
)
def test_symbol_by_symbol(formulas, size, left, right, call):
    """Each result is a sum of products of two symbols: with these two 1 and the others 0, it is 1 or 0."""
    for (a, one), (b, other) in itertools.product(symbols(*left), symbols(*right)):
        holds = [[int(a + b in formula.split(" + ")) for formula in formulas.values()]]
        assert call(one, other).reshape(1, -1).tolist() == holds, a + b
    assert len(formulas) == size * size


def symbols(letter: str, size: int):
    """Yield each entry's name, x11 to x33, and the map that is 1 there and 0 elsewhere."""
    for i, j in itertools.product(range(size), repeat=2):
        image = np.zeros((1, size, size, 1))
        image[0, i, j, 0] = 1
        yield f"{letter}{i + 1}{j + 1}", image
