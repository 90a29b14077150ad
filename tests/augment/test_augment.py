"""Every registered augmentation: what holds for all, and each one against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.gather import framed

from gpucnn.augment.base import Augmentation
from gpucnn.errors import ArgumentError
from gpucnn.random import Stream, below

EXAMPLES = {
    "random_crop": [
        {"padding": 2},
        {"padding": (0, 3), "fill": 255},
        {"padding": 2, "mode": "reflect"},
        {"padding": (4, 9), "mode": "edge"},
    ],
    "horizontal_flip": [{}, {"rate": 0.9}, {"alternating": True}],
    "cutout": [{"size": 3}, {"size": (1, 4), "fill": 128}, {"size": 2}],
}
CASES = [(name, arguments) for name in Augmentation.registry for arguments in EXAMPLES.get(name, [{}])]
SHAPE = (6, 5, 3)

every_augmentation = pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
crops = pytest.mark.parametrize("arguments", EXAMPLES["random_crop"], ids=str)
cutouts = pytest.mark.parametrize("arguments", EXAMPLES["cutout"], ids=str)


def make(name, arguments) -> Augmentation:
    if name not in EXAMPLES:
        pytest.fail(f"augmentation {name!r} is registered but not tested: add arguments of it to EXAMPLES")
    return Augmentation.registry[name](**arguments)


def pictures(count: int, dtype=np.uint8, shape=SHAPE) -> np.ndarray:
    """Return images without equal or zero pixels in any one of them."""
    rng = np.random.default_rng(3)
    return np.stack([1 + rng.permutation(np.prod(shape)) for _ in range(count)]).reshape(count, *shape).astype(dtype)


def stream(epoch: int = 0, seed: int = 0, purpose: str = "augment.0") -> Stream:
    return Stream(seed, purpose, epoch)


@every_augmentation
@given(indices=st.lists(st.integers(0, 2**31), min_size=1, max_size=6), seed=st.integers(0, 2**63 - 1))
def test_an_image_does_not_depend_on_its_batch(name, arguments, indices, seed):
    augmentation, images = make(name, arguments), pictures(len(indices))
    together = augmentation.apply(images, np.array(indices), stream(seed=seed))
    for place, index in enumerate(indices):
        alone = augmentation.apply(images[place : place + 1], np.array([index]), stream(seed=seed))
        np.testing.assert_array_equal(alone[0], together[place])


@every_augmentation
def test_seed_purpose_epoch_and_index_each_count(name, arguments):
    augmentation, images, indices = make(name, arguments), pictures(64), np.arange(64)
    first = augmentation.apply(images, indices, stream())
    np.testing.assert_array_equal(augmentation.apply(images, indices, stream()), first)
    for other in stream(epoch=1), stream(seed=1), stream(purpose="augment.1"):
        assert not np.array_equal(augmentation.apply(images, indices, other), first)
    assert not np.array_equal(augmentation.apply(images, indices + 64, stream()), first)


@every_augmentation
def test_frames_do_what_apply_does(name, arguments):
    """An augmentation that is no frame says so by None; of those here, every one is."""
    augmentation, images, indices = make(name, arguments), pictures(64), np.arange(64) * 1000
    drawn = augmentation.frames(SHAPE, indices, stream())
    assert drawn is not None
    assert (drawn.shape, drawn.dtype) == ((64, 9), np.int32)
    expected = augmentation.apply(images, indices, stream())
    for image, frame, changed in zip(images, drawn, expected, strict=True):
        np.testing.assert_array_equal(framed(image, frame), changed)


@every_augmentation
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_makes_a_new_array_like_the_old(name, arguments, dtype):
    augmentation, images = make(name, arguments), pictures(16, dtype)
    before = images.copy()
    images.flags.writeable = False
    indices = np.arange(16)
    indices.flags.writeable = False
    changed = augmentation.apply(images, indices, stream())
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)
    assert changed.flags.c_contiguous
    assert changed.flags.writeable
    assert not np.shares_memory(changed, images)
    assert not np.array_equal(changed, images)
    np.testing.assert_array_equal(images, before)


@every_augmentation
def test_layout_and_empty_batches_do_not_matter(name, arguments):
    augmentation, images, indices = make(name, arguments), pictures(8), np.arange(8)
    strided = np.asfortranarray(images)
    np.testing.assert_array_equal(
        augmentation.apply(strided, indices, stream()), augmentation.apply(images, indices, stream())
    )
    assert augmentation.apply(images[:0], indices[:0], stream()).shape == (0, *SHAPE)


@every_augmentation
def test_check_accepts_what_apply_accepts(name, arguments):
    make(name, arguments).check(SHAPE)


def test_the_largest_sizes_are_accepted():
    """A patch as large as the image, its centre at a corner, still leaves three quarters of it."""
    make("random_crop", {"padding": (5, 4), "mode": "reflect"}).apply(pictures(9), np.arange(9), stream())
    hidden = make("cutout", {"size": SHAPE[:2]}).apply(pictures(500), np.arange(500), stream())
    assert (hidden == 0).all(axis=3).sum(axis=(1, 2)).min() == 3 * 3  # rows 0 to 2, columns 0 to 2
    assert (hidden == 0).all(axis=(1, 2, 3)).any()


def expected_crop(image, top, left, padding, mode, fill):
    """Return the image moved by (padding - top, padding - left), pixel by pixel."""
    H, W, C = image.shape
    crop = np.empty_like(image)
    for i in range(H):
        for j in range(W):
            row, column = i + top - padding[0], j + left - padding[1]
            if mode == "edge":
                row, column = min(max(row, 0), H - 1), min(max(column, 0), W - 1)
            if mode == "reflect":
                row, column = (H - 1) - abs((H - 1) - abs(row)), (W - 1) - abs((W - 1) - abs(column))
            inside = 0 <= row < H and 0 <= column < W
            for channel in range(C):
                crop[i, j, channel] = image[row, column, channel] if inside else fill
    return crop


@crops
def test_crops_are_shifted_images_and_every_shift_comes(arguments):
    padding = arguments["padding"] if isinstance(arguments["padding"], tuple) else (arguments["padding"],) * 2
    image = pictures(1)[0]
    shifts = [(top, left) for top in range(2 * padding[0] + 1) for left in range(2 * padding[1] + 1)]
    rest = padding, arguments.get("mode", "constant"), arguments.get("fill", 0)
    known = {expected_crop(image, *shift, *rest).tobytes(): shift for shift in shifts}
    count = 40 * len(shifts)
    crops = make("random_crop", arguments).apply(np.repeat(image[None], count, 0), np.arange(count), stream())
    seen = [known[crop.tobytes()] for crop in crops]
    if len(known) == len(shifts):  # shifts that leave different images: each is as likely as any other
        counts = [seen.count(shift) for shift in shifts]
        assert chi_square(counts) < five_sigma(len(counts))
    assert set(seen) == set(known.values())


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_flips_mirror_at_their_rate(rate):
    count = 4000
    image = pictures(1)[0]
    mirrored = np.array([[row[len(row) - 1 - j] for j in range(len(row))] for row in image])
    images = np.repeat(image[None], count, 0)
    flipped = make("horizontal_flip", {"rate": rate}).apply(images, np.arange(count), stream())
    chosen = (flipped == mirrored).all(axis=(1, 2, 3))
    assert (chosen | (flipped == image).all(axis=(1, 2, 3))).all()
    assert abs(chosen.mean() - rate) <= 5 * (rate * (1 - rate) / count) ** 0.5


def test_an_alternating_flip_mirrors_each_image_in_every_other_epoch():
    """In the first epoch as one that does not alternate, and about half of the images in any."""
    images, indices = pictures(200), np.arange(200) * 7
    epochs = [make("horizontal_flip", {"alternating": True}).apply(images, indices, stream(e)) for e in range(4)]
    np.testing.assert_array_equal(epochs[0], make("horizontal_flip", {}).apply(images, indices, stream(0)))
    np.testing.assert_array_equal(epochs[1], epochs[0][:, :, ::-1])
    np.testing.assert_array_equal(epochs[2:], epochs[:2])
    assert 70 < (epochs[0] == images).all(axis=(1, 2, 3)).sum() < 130


@cutouts
def test_cutouts_hide_one_patch_around_each_centre(arguments):
    size = arguments["size"] if isinstance(arguments["size"], tuple) else (arguments["size"],) * 2
    H, W, _ = SHAPE
    image = pictures(1, np.float32)[0] + 1000
    known = {}
    for row in range(H):
        for column in range(W):
            expected = image.copy()
            for i in range(row - size[0] // 2, row - size[0] // 2 + size[0]):
                for j in range(column - size[1] // 2, column - size[1] // 2 + size[1]):
                    if 0 <= i < H and 0 <= j < W:
                        expected[i, j] = arguments.get("fill", 0)
            known[expected.tobytes()] = (row, column)
    assert len(known) == H * W
    count = 40 * H * W
    hidden = make("cutout", arguments).apply(np.repeat(image[None], count, 0), np.arange(count), stream())
    seen = [known[one.tobytes()] for one in hidden]
    assert chi_square([seen.count(centre) for centre in known.values()]) < five_sigma(H * W)


def chi_square(counts: list[int]) -> float:
    """Return how far the counts are from equal ones."""
    mean = sum(counts) / len(counts)
    return sum((count - mean) ** 2 / mean for count in counts)


def five_sigma(cells: int) -> float:
    """Return what a chi-square of that many cells exceeds about as rarely as a normal number exceeds 5 sigma."""
    degrees = cells - 1  # the cube root is nearly normal: Wilson and Hilferty, PNAS 1931
    return degrees * (1 - 2 / (9 * degrees) + 5 * (2 / (9 * degrees)) ** 0.5) ** 3


@pytest.mark.parametrize("limit", [1, 2, 7, 2**31 + 1])
def test_below_covers_its_range(limit):
    ends = below(np.array([0, 2**32 - 1], np.uint32), limit)
    assert ends.tolist() == [0, limit - 1]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("random_crop", {"padding": (6, 1), "mode": "reflect"}, r"padding \(=\[6, 1\]\) .* below .* \[6, 5\]"),
        ("random_crop", {"padding": (0, 5), "mode": "reflect"}, r"padding \(=\[0, 5\]\)"),
        ("cutout", {"size": 6}, r"size \(=\[6, 6\]\) must be at most .* \[6, 5\]"),
        ("cutout", {"size": (7, 1)}, r"size \(=\[7, 1\]\)"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name, arguments, message):
    augmentation = make(name, arguments)
    with pytest.raises(ArgumentError, match=message):
        augmentation.check(SHAPE)
    with pytest.raises(ArgumentError, match=message):
        augmentation.apply(pictures(1), np.array([0]), stream())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("random_crop", {}, "padding"),
        ("random_crop", {"padding": -1}, "padding"),
        ("random_crop", {"padding": (1, 2, 3)}, "padding"),
        ("random_crop", {"padding": 1, "mode": "wrap"}, "mode"),
        ("random_crop", {"padding": 1, "fill": 256}, "fill"),
        ("horizontal_flip", {"rate": 1.1}, "rate"),
        ("cutout", {"size": 0}, "size"),
        ("cutout", {"size": 2, "fill": 0.5}, "fill"),
    ],
)
def test_arguments_are_checked(name, arguments, message):
    with pytest.raises((ArgumentError, TypeError), match=message):
        make(name, arguments)
