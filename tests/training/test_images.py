"""Images that users hand in: every form with one meaning is taken, every other is refused with the rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.training.images import as_images

GRAY, COLOR = (4, 5, 1), (4, 5, 3)


@pytest.mark.parametrize(
    ("given", "shape", "expected"),
    [
        ((7, 4, 5, 1), GRAY, (7, 4, 5, 1)),
        ((7, 4, 5), GRAY, (7, 4, 5, 1)),
        ((4, 5), GRAY, (1, 4, 5, 1)),
        ((4, 5, 1), GRAY, (1, 4, 5, 1)),
        ((0, 4, 5), GRAY, (0, 4, 5, 1)),
        ((7, 4, 5, 3), COLOR, (7, 4, 5, 3)),
        ((4, 5, 3), COLOR, (1, 4, 5, 3)),
    ],
)
def test_shapes(given: tuple[int, ...], shape: tuple[int, int, int], expected: tuple[int, ...], rng: Any) -> None:
    x = rng.integers(0, 256, given, dtype=np.uint8)
    images = as_images(x, shape, "uint8")
    assert images.shape == expected
    assert images.ravel().tolist() == x.ravel().tolist()


@pytest.mark.parametrize("given", [(), (5, 4), (7, 5, 4), (7, 4, 5, 3), (7, 1, 4, 5), (4, 5, 1, 1, 1), (20,)])
def test_other_shapes_are_refused(given: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"the network takes \(N, 4, 5, 1\): .* or one image without the N"):
        as_images(np.zeros(given, np.uint8), GRAY, "uint8")


def test_color_without_channels_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"images have shape \(4, 5\), but the network takes \(N, 4, 5, 3\)"):
        as_images(np.zeros((4, 5)), COLOR, "uint8")


@pytest.mark.parametrize(
    ("value", "dtype"), [(255, np.uint8), (255, np.int64), (0, np.uint16), (0.0, np.float32), (1.0, np.float64)]
)
def test_numbers_for_uint8(value: float, dtype: Any) -> None:
    x = np.full((4, 5), value, dtype)
    images = as_images(x, GRAY, "uint8")
    assert images.dtype == (dtype if np.issubdtype(dtype, np.floating) else np.uint8)
    assert (images == value).all()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(256, np.int64), (-1, np.int8), (1.5, float), (-0.1, float), (np.nan, float)],
)
def test_other_numbers_for_uint8_are_refused(value: Any, dtype: Any) -> None:
    with pytest.raises(ArgumentError, match=r"trained on uint8 images: .* 0 to 255, or floats from 0 to 1"):
        as_images(np.full((4, 5), value, dtype), GRAY, "uint8")


def test_numbers_for_floats() -> None:
    assert as_images([[-7.5] * 5] * 4, GRAY, "float32").max() == -7.5
    for value, dtype in ((3, np.uint8), (np.nan, float), (np.inf, float)):
        with pytest.raises(ArgumentError, match="trained on float images: it takes finite floats"):
            as_images(np.full((4, 5), value, dtype), GRAY, "float32")


@pytest.mark.parametrize(
    "x", [[["a"] * 5] * 4, [[None] * 5] * 4, [[True] * 5] * 4, [[1j] * 5] * 4, [[1, 2], [3]], "cat"]
)
def test_no_array_is_refused(x: Any) -> None:
    with pytest.raises(ArgumentError):
        as_images(x, GRAY, "uint8")
