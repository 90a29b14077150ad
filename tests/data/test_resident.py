"""Batches that are made where the images are: those of the loader that prepares them on the host, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from cushim import cupy_stand_in

from gpucnn.augment.base import Augmentation
from gpucnn.augment.cutout import Cutout
from gpucnn.augment.horizontal_flip import HorizontalFlip
from gpucnn.augment.random_crop import RandomCrop
from gpucnn.backend import Device
from gpucnn.data import resident
from gpucnn.data.base import ArraySource
from gpucnn.data.loader import Loader
from gpucnn.data.normalize import Normalize
from gpucnn.data.resident import Resident, ResidentLoader, why_streamed
from gpucnn.errors import ArgumentError, OutOfMemory, ShapeError
from gpucnn.frames import frames

CPU, COUNT, SHAPE = Device("cpu"), 23, (6, 5, 3)

CHAINS = [
    [],
    [HorizontalFlip(alternating=True)],
    [RandomCrop(2), HorizontalFlip(), Cutout(3, fill=128)],
    [Cutout((2, 3)), RandomCrop((4, 3), mode="reflect"), HorizontalFlip(0.9), RandomCrop(5, fill=7)],
    [HorizontalFlip(), RandomCrop((9, 8), mode="edge"), HorizontalFlip(), Cutout((6, 5)), Cutout(1, fill=255)],
]
RULES = [None, Normalize((0.1, 0.5, 0.4), (0.3, 0.2, 0.7))]


class Alternate(Augmentation):
    """A change that is a frame, and that says no more of how it is drawn: every second image is mirrored."""

    name = "alternate"

    def apply(self, images, indices, stream):
        return np.where((indices % 2)[:, None, None, None], images[:, :, ::-1], images)

    def frames(self, shape, indices, stream):
        return frames(len(indices), mirrored=indices % 2)


CHAINS.append([RandomCrop(2), Alternate()])


class Noise(Augmentation):
    """A change that is no frame."""

    name = "noise"

    def apply(self, images, indices, stream):
        return images + 1


def source(dtype=np.uint8) -> ArraySource:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (COUNT, *SHAPE)).astype(dtype)
    return ArraySource(images if dtype == np.uint8 else images / dtype(255), rng.integers(0, 10, COUNT))


def loaders(image_dtype=np.uint8, **changes):
    """Return the loader on the host and the one where the images are, over all images but every fourth."""
    settings = {"seed": 3, "shuffle": True, "workers": 0, **changes}
    images, indices = source(image_dtype), np.flatnonzero(np.arange(COUNT) % 4)
    return Loader(images, indices, 5, **settings), ResidentLoader(Resident.of(images, CPU), indices, 5, **settings)


def assert_same(ours, theirs):
    for (x, labels), (expected, targets) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(x, expected, strict=True)
        np.testing.assert_array_equal(labels, targets, strict=True)


@pytest.mark.parametrize("rule", RULES, ids=["scaled", "normalised"])
@pytest.mark.parametrize("image_dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("augment", CHAINS, ids=lambda chain: "-".join(a.name for a in chain) or "none")
def test_the_same_bits_as_on_the_host(augment, image_dtype, rule):
    for dtype in (np.float32, np.float64):
        host, ours = loaders(image_dtype, augment=augment, normalize=rule, dtype=dtype)
        for epoch in (0, 5):
            assert_same(ours.batches(epoch), host.batches(epoch))


@pytest.mark.parametrize("start", [0, 1, 3, 4])
@pytest.mark.parametrize("drawn", [1, 9, 10])
def test_any_number_of_images_drawn_at_a_time_and_any_start(drawn, start, monkeypatch):
    monkeypatch.setattr(resident, "_DRAWN", drawn)
    host, ours = loaders(augment=CHAINS[2])
    assert (len(ours), ours.images) == (len(host), host.images)
    assert_same(ours.batches(2, start), host.batches(2, start))


def test_images_are_copied_in_blocks(monkeypatch):
    monkeypatch.setattr(resident, "_COPIED", 4 * np.prod(SHAPE))
    np.testing.assert_array_equal(Resident.of(source(), CPU).images, source().images)


def test_an_augmentation_that_is_no_frame_is_refused():
    with pytest.raises(ArgumentError, match="noise runs on the host only"):
        loaders(augment=[HorizontalFlip(), Noise()])


def test_an_augmentation_that_does_not_fit_the_images_is_refused():
    with pytest.raises(ArgumentError, match=r"cutout: size \(=\[7, 1\]\) must be at most"):
        loaders(augment=[Cutout((7, 1))])


def test_statistics_of_other_channels_are_refused():
    _, ours = loaders(normalize=Normalize((0.5,), (0.5,)))
    with pytest.raises(ShapeError, match="numbers for 1 channels, but the images have 3"):
        next(ours.batches(0))


@pytest.mark.parametrize(("augment", "there"), [(CHAINS[0], False), (CHAINS[2], True), (CHAINS[-1], False)])
def test_frames_are_drawn_where_the_images_are_if_all_say_how(augment, there):
    _, ours = loaders(augment=augment)
    assert {frames is None for _, frames in ours.chosen(0)} == {there}


@pytest.fixture
def cuda(monkeypatch) -> Device:
    cupy_stand_in.install(monkeypatch)
    return Device("cuda")


@pytest.mark.parametrize("augment", [CHAINS[2], CHAINS[-1]], ids=["drawn there", "drawn on the host"])
def test_on_a_gpu_all_arrays_are_the_gpus(cuda, augment):
    host, _ = loaders(augment=augment, normalize=RULES[1])
    images = source()
    settings = {"seed": 3, "shuffle": True, "augment": augment, "normalize": RULES[1], "device": cuda}
    ours = ResidentLoader(Resident.of(images, cuda), host.indices, 5, **settings)
    for (x, labels), (expected, targets) in zip(ours.batches(1), host.batches(1), strict=True):
        np.testing.assert_array_equal(x.get(), expected, strict=True)
        np.testing.assert_array_equal(labels.get(), targets, strict=True)


SIZE = COUNT * int(np.prod(SHAPE))


@pytest.mark.parametrize(
    ("free", "augment", "why"),
    [
        (4 * SIZE, CHAINS[2], ""),
        (4 * SIZE - 1, CHAINS[2], r"they take 0.00 GiB, more than 25% of the 0.00 GiB that are free on cuda:0"),
        (4 * SIZE, [Noise()], "noise runs on the host only"),
    ],
)
def test_why_images_are_streamed(cuda, free, augment, why, monkeypatch):
    monkeypatch.setattr(cupy_stand_in, "FREE", free)
    assert why_streamed(source(), augment, cuda, wanted=False) == why


def test_what_was_asked_for_and_cannot_be_is_an_error(cuda, monkeypatch):
    monkeypatch.setattr(cupy_stand_in, "FREE", SIZE)
    assert why_streamed(source(), CHAINS[2], cuda, wanted=True) == ""
    with pytest.raises(ArgumentError, match=r"data.on_device is true, but noise runs on the host only: set it to auto"):
        why_streamed(source(), [Noise()], cuda, wanted=True)
    monkeypatch.setattr(cupy_stand_in, "FREE", SIZE - 1)
    message = r"the images take 0.00 GiB, too much for cuda:0 \(0.00 of 0.00 GiB free .*\): set data.on_device to false"
    with pytest.raises(OutOfMemory, match=message):
        why_streamed(source(), [], cuda, wanted=True)


def test_memory_that_runs_out_while_images_are_copied_is_told(cuda, monkeypatch):
    def empty(shape, dtype):
        raise MemoryError("cudaErrorMemoryAllocation")

    monkeypatch.setattr(cuda.xp, "empty", empty, raising=False)
    with pytest.raises(OutOfMemory, match=r"the images take 0.00 GiB, too much for cuda:0"):
        Resident.of(source(), cuda)
