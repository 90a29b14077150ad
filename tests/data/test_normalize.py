from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucnn.data import normalize
from gpucnn.data.base import ArraySource
from gpucnn.data.normalize import Normalize, scaled
from gpucnn.errors import ArgumentError, ShapeError


def source(images):
    return ArraySource(images, np.zeros(len(images), np.int64))


def random_images(shape=(7, 5, 4, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(deadline=None)
@given(st.integers(1, 12), st.sampled_from([1, 3]), st.sampled_from([1, 200, 10_000]), st.booleans())
def test_measured_against_numpy(count, channels, block_bytes, floats):
    images = random_images((count, 3, 4, channels), seed=count)
    if floats:
        images = (images / 7 - 3).astype(np.float32)
    unit = 1 if floats else 255
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normalize, "_BLOCK_BYTES", block_bytes)
        found = Normalize.measure(source(images), np.arange(count))
    np.testing.assert_allclose(found.mean, images.mean((0, 1, 2), np.float64) / unit, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found.std, images.std((0, 1, 2), np.float64) / unit, rtol=1e-12)


def test_only_the_asked_images_count():
    images = random_images()
    found = Normalize.measure(source(images), np.array([1, 4]))
    assert found.mean == pytest.approx((images[[1, 4]] / 255).mean((0, 1, 2)))


def test_nothing_cancels(monkeypatch):
    """E[x^2] - E[x]^2 in float64 would be wrong here in every digit: 1e16 has a spacing of 2."""
    monkeypatch.setattr(normalize, "_BLOCK_BYTES", 8 * 16)
    images = (1e8 + np.random.default_rng(0).integers(0, 2, (64, 4, 4, 1))).astype(np.float64)
    found = Normalize.measure(source(images), np.arange(64))
    assert found.std[0] == pytest.approx((images - 1e8).std(), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_channel_gets_std_1(value):
    images = np.full((50, 3, 3, 2), value, np.float32)
    images[..., 1] = np.random.default_rng(0).random((50, 3, 3))
    found = Normalize.measure(source(images), np.arange(50))
    assert found.std[0] == 1.0
    assert found.std[1] < 0.5
    assert abs(found.apply(images, np.float32)[..., 0]).max() <= 1e-6 * max(value, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("floats", [False, True])
def test_applied_against_the_formula(dtype, channels, floats):
    images = random_images((6, 5, 4, channels))
    if floats:
        images = images.astype(np.float32) / 100
    before = images.copy()
    rule = Normalize([0.1, 0.5, 0.9][:channels], [0.2, 0.3, 2.0][:channels])
    y = rule.apply(images, dtype)
    expected = (images.astype(np.float64) / (1 if floats else 255) - rule.mean) / rule.std
    assert (y.dtype, y.flags.c_contiguous) == (dtype, True)
    # |x scale| and |shift| are at most 13, and each is rounded once, as is their sum
    np.testing.assert_allclose(y, expected, rtol=0, atol=4 * 13 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(images, before)


def test_views_are_normalised_like_copies():
    images = random_images((4, 6, 8, 3))[::2, :, ::-1]
    rule = Normalize([0.1, 0.5, 0.9], [0.2, 0.3, 2.0])
    np.testing.assert_array_equal(rule.apply(images, np.float32), rule.apply(images.copy(), np.float32))


def test_without_statistics_uint8_is_scaled_to_1():
    images = np.array([[[[0, 51, 255]]]], np.uint8)
    np.testing.assert_allclose(scaled(images, np.float32).ravel(), [0, 0.2, 1], rtol=1e-7)
    np.testing.assert_array_equal(scaled(images.astype(np.float32), np.float64).ravel(), [0, 51, 255])


def test_normalised_images_have_mean_0_and_std_1():
    images = random_images((200, 5, 4, 3))
    y = Normalize.measure(source(images), np.arange(200)).apply(images, np.float64)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, rtol=1e-12)


def test_it_survives_a_file_exactly():
    rule = Normalize.measure(source(random_images()), np.arange(7))
    again = Normalize.load(json.loads(json.dumps(rule.dump())))
    assert again == rule


@pytest.mark.parametrize(
    ("mean", "std"),
    [([], []), ([0.0], [1.0, 1.0]), ([0.0], [0.0]), ([0.0], [-1.0]), ([np.nan], [1.0]), ([0.0], [np.inf])],
)
def test_impossible_statistics(mean, std):
    with pytest.raises(ArgumentError, match=r"normalize: mean"):
        Normalize(mean, std)


def test_other_numbers_of_channels():
    with pytest.raises(ShapeError, match=r"numbers for 3 channels, but the images have 1"):
        Normalize([0.0] * 3, [1.0] * 3).apply(np.zeros((1, 2, 2, 1), np.uint8), np.float32)
    with pytest.raises(ArgumentError, match=r"no images"):
        Normalize.measure(source(random_images()), np.arange(0))
