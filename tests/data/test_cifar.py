from __future__ import annotations

import numpy as np
import pytest
from checks.writers import write_cifar, write_cifar10, write_cifar100

from gpucnn.data.cifar10 import Cifar10
from gpucnn.data.cifar100 import Cifar100
from gpucnn.errors import DataError


def record(labels: list[int], seed: int) -> tuple[bytes, np.ndarray]:
    """Return a record and the image that it means, by a plain loop over the planes."""
    pixels = np.random.default_rng(seed).integers(0, 256, 3072, dtype=np.uint8)
    image = np.zeros((32, 32, 3), np.uint8)
    for place, value in enumerate(pixels):
        plane, row, column = place // 1024, place % 1024 // 32, place % 32
        image[row, column, plane] = value
    return bytes(labels) + pixels.tobytes(), image


def test_images_and_labels_across_files(tmp_path):
    write_cifar10(tmp_path)
    places = [(1, 0), (2, 9_999), (5, 17)]
    made = [record([label], seed=label) for label in (3, 9, 1)]
    for (number, row), (content, _) in zip(places, made, strict=True):
        write_cifar(tmp_path / f"data_batch_{number}.bin", 10_000, 3073, {row: content})
    source = Cifar10(tmp_path).load("train")
    indices = np.array([(number - 1) * 10_000 + row for number, row in places])
    assert len(source) == 50_000
    assert source.labels[indices].tolist() == [3, 9, 1]
    order = np.array([2, 0, 1, 0])
    expected = np.stack([made[i][1] for i in order])
    np.testing.assert_array_equal(source.read(indices[order]), expected)


def test_fine_and_coarse_labels(tmp_path):
    write_cifar100(tmp_path)
    content, image = record([7, 63], seed=0)
    write_cifar(tmp_path / "test.bin", 10_000, 3074, {5: content})
    fine, coarse = Cifar100(tmp_path), Cifar100(tmp_path, coarse=True)
    assert (fine.load("test").labels[5], coarse.load("test").labels[5]) == (63, 7)
    assert (fine.info().classes[63], coarse.info().classes[7]) == ("porcupine", "insects")
    assert (len(fine.info().classes), len(coarse.info().classes)) == (100, 20)
    np.testing.assert_array_equal(fine.load("test").read(np.array([5]))[0], image)
    assert sorted(fine.info().classes) == list(fine.info().classes)


def test_the_folder_of_the_archive_is_found(tmp_path):
    write_cifar10(tmp_path / "cifar-10-batches-bin")
    assert len(Cifar10(tmp_path).load("test")) == 10_000


@pytest.mark.parametrize("size", [0, 1, 3073 * 9_999, 3073 * 10_000 - 1, 3073 * 10_000 + 1, 3073 * 20_000])
def test_a_file_of_another_size(tmp_path, size):
    write_cifar10(tmp_path)
    with (tmp_path / "data_batch_4.bin").open("r+b") as file:
        file.truncate(size)
    message = rf"data_batch_4.bin: size: expected 30730000 bytes \(10000 records of 3073\), found {size}"
    with pytest.raises(DataError, match=message):
        Cifar10(tmp_path).load("train")


@pytest.mark.parametrize(("coarse", "byte", "label"), [(False, 3 * 3074 + 1, 100), (True, 3 * 3074, 20)])
def test_a_label_out_of_range(tmp_path, coarse, byte, label):
    write_cifar100(tmp_path)
    write_cifar(tmp_path / "test.bin", 10_000, 3074, {3: bytes([label, label])})
    message = rf"test.bin: label of image 3 \(byte {byte}\): expected 0 to {label - 1}, found {label}"
    with pytest.raises(DataError, match=message):
        Cifar100(tmp_path, coarse=coarse).load("test")


def test_info_needs_no_files():
    assert (Cifar10().info().train, Cifar100().info().test) == (50_000, 10_000)


def test_not_found_names_all_files():
    with pytest.raises(DataError, match=r"data_batch_1.bin, .*.*, test_batch.bin\n.*gpucnn data fetch cifar10"):
        Cifar10().load("train")
