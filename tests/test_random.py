"""The generator gives the published numbers, and streams give numbers that are what they claim to be."""

from __future__ import annotations

import numpy as np
import pytest

from gpucnn.random import Step, Stream, philox

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
    ids=["zeros", "ones", "digits of pi"],
)
def test_known_answers(counter, key, words):
    """Source: the known-answer tests of Random123, philox4x32 with 10 rounds; the key's words stand low one first."""
    low, high = (int(word, 16) for word in key.split())
    result = philox(tuple(int(word, 16) for word in counter.split()), low | high << 32)
    assert [f"{word:08x}" for word in result] == words.split()


def test_counters_are_arrays_as_well_as_numbers():
    many = philox((np.arange(5)[:, None], np.arange(3), 7, ONES), seed=11)
    assert many.shape == (5, 3, 4)
    assert many.dtype == np.uint32
    np.testing.assert_array_equal(many[4, 2], philox((4, 2, 7, ONES), seed=11))


def test_a_stream_is_a_function_of_its_arguments():
    stream = Stream(seed=3, purpose="dropout", step=5)
    np.testing.assert_array_equal(stream.bits(100), Stream(3, "dropout", 5).bits(100))
    np.testing.assert_array_equal(stream.bits(10), stream.bits(100)[:10])  # however many are drawn
    np.testing.assert_array_equal(Step(seed=3, index=5).stream("dropout").bits(100), stream.bits(100))


@pytest.mark.parametrize("other", [Stream(4, "dropout", 5), Stream(3, "crop", 5), Stream(3, "dropout", 6)])
def test_streams_of_other_arguments_are_unrelated(other):
    a, b = Stream(3, "dropout", 5).normal((4000,)), other.normal((4000,))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(4000)  # five standard deviations of a correlation of zero


def test_an_image_draws_the_same_numbers_in_any_batch():
    stream = Stream(0, "crop", 1)
    rows = stream.at(np.array([7, 2, 9, 2**31]), 5)
    assert rows.shape == (4, 5)
    for index, row in zip([7, 2, 9, 2**31], rows, strict=True):
        np.testing.assert_array_equal(stream.at([index], 5)[0], row)


def test_neighbouring_images_draw_unrelated_numbers():
    words = Stream(0, "crop").at(np.arange(4000), 3) / 2.0**32
    related = np.corrcoef(np.hstack([words[:-1], words[1:]]).T)
    np.fill_diagonal(related, 0)
    shared = np.array([[related[i, j] for j in range(3, 6)] for i in range(3)])  # each image with the next one
    within = related[:3, :3]
    assert abs(shared).max() < 5 / np.sqrt(4000)
    assert abs(within).max() < 5 / np.sqrt(4000)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_numbers_fill_the_unit_interval_evenly(dtype):
    n = 20000
    numbers = Stream(0, "uniform").uniform((n // 10, 10), dtype)
    assert numbers.dtype == dtype
    assert numbers.shape == (n // 10, 10)
    assert 0 <= numbers.min() < 10 / n
    assert 1 - 10 / n < numbers.max() < 1
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    chi2 = ((counts - n / 20) ** 2 / (n / 20)).sum()
    assert chi2 < 19 + 5 * np.sqrt(2 * 19)  # mean and standard deviation of chi^2 with 19 degrees of freedom


@pytest.mark.parametrize(("dtype", "bits"), [(np.float32, 24), (np.float64, 53)])
def test_uniform_numbers_never_reach_one_and_use_all_their_bits(dtype, bits, monkeypatch):
    monkeypatch.setattr(Stream, "bits", lambda self, count, xp=np, start=0: np.full(count, ONES, np.uint32))
    assert Stream(0, "all ones").uniform((3,), dtype).tolist() == [1 - 2.0**-bits] * 3


def test_normal_numbers_have_the_normal_distributions_moments():
    n = 40000
    numbers = Stream(0, "normal").normal((n,))
    assert numbers.dtype == np.float64
    # Five standard errors each: var(x) = 1, var(x^2) = 2, var(x^3) = 15, var(x^4) = 96.
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((numbers**power).mean() - moment) < 5 * np.sqrt(variance / n), power
    assert abs(np.corrcoef(numbers[0::2], numbers[1::2])[0, 1]) < 5 / np.sqrt(n / 2)  # the two of a pair


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7), (0,), (0, 3)])
def test_any_shape_can_be_drawn(shape):
    stream = Stream(0, "shape")
    for dtype in (np.float32, np.float64):
        assert stream.uniform(shape, dtype).shape == shape
    assert stream.normal(shape).shape == shape


@pytest.mark.parametrize("count", [0, 1, 2, 97, 1000])
def test_a_permutation_holds_every_index_once(count):
    order = Stream(0, "shuffle", 1).permutation(count)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(count))


def test_a_permutation_is_the_order_of_the_words_and_equal_ones_stay_in_order():
    stream, count = Stream(0, "shuffle", 1), 2**18
    words = stream.bits(count)
    assert len(np.unique(words)) < count
    np.testing.assert_array_equal(stream.permutation(count), np.argsort(words, kind="stable"))


def test_permutations_are_even_and_differ_by_epoch():
    epochs = np.array([Stream(0, "shuffle", epoch).permutation(8) for epoch in range(4000)])
    counts = np.array([np.bincount(column, minlength=8) for column in epochs.T])  # how often each index stands where
    assert abs(counts - 500).max() < 5 * np.sqrt(500)
    assert len({tuple(order) for order in epochs}) > 3500  # of 40320


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**63, 2**64 - 1])
def test_every_seed_of_64_bits_has_numbers_of_its_own(seed):
    assert Stream(seed, "seed").bits(4).tolist() != Stream(seed ^ (1 << 40), "seed").bits(4).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("start", [0, 1, 4, 7])
def test_a_stream_goes_on_where_a_part_of_it_ended(dtype, start):
    stream = Stream(3, "parts", 5)
    whole = stream.uniform((5, 7), dtype)
    np.testing.assert_array_equal(stream.uniform((4,), dtype, start=start), whole.reshape(-1)[start : start + 4])
