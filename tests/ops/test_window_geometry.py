"""Output sizes: laid out window by window, for every form of padding."""

from __future__ import annotations

import pytest
from checks.windows import convs
from hypothesis import given
from oracles.window import outputs

from gpucnn import ops


@given(convs())
def test_the_output_has_as_many_elements_as_windows_fit(case):
    arguments = {key: case.arguments[key] for key in ("stride", "padding", "dilation")}
    expected = (case.x_shape[0], *outputs(case.x_shape[1:3], case.w_shape[1:3], **arguments), case.w_shape[0])
    assert ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments) == expected


@pytest.mark.parametrize(
    ("size", "kernel", "arguments", "expected"),
    [
        (28, 5, {}, 24),
        (28, 5, {"padding": 2}, 28),
        (28, 5, {"padding": "same", "stride": 2}, 14),
        (224, 7, {"padding": 3, "stride": 2}, 112),  # the first layer of ResNet
        (227, 11, {"stride": 4}, 55),  # the first layer of AlexNet
        (32, 3, {"padding": 2, "dilation": 2}, 32),
        (1, 1, {"stride": 5}, 1),
    ],
)
def test_sizes_known_from_the_literature(size, kernel, arguments, expected):
    shape = ops.conv2d_output_shape((1, size, size, 3), (8, kernel, kernel, 3), **arguments)
    assert shape == (1, expected, expected, 8)
