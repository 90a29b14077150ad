"""What holds for every registered data set: a new one is tested by being registered, once it has an example here."""

from __future__ import annotations

import numpy as np
import pytest
from checks.writers import write_cifar10, write_cifar100, write_mnist
from PIL import Image

from gpucnn.data.base import Dataset
from gpucnn.errors import ArgumentError


def folder_of_images(path):
    for name in "ab":
        (path / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (4, 3), (i, 0, 0)).save(path / name / f"{i}.png")
    return path


def npz(path):
    images, labels = np.zeros((20, 5, 4), np.float32), np.arange(20) % 4
    np.savez(path, images=images, labels=labels)
    return path


EXAMPLES = {
    "cifar10": lambda path: {"path": write_cifar10(path)},
    "cifar100": lambda path: {"path": write_cifar100(path), "coarse": True},
    "digits": lambda path: {},
    "fashion_mnist": lambda path: {"path": write_mnist(path)},
    "image_folder": lambda path: {"path": folder_of_images(path / "root")},
    "mnist": lambda path: {"path": write_mnist(path)},
    "npz": lambda path: {"path": npz(path / "a.npz")},
    "synthetic": lambda path: {"size": [5, 6], "channels": 2, "train": 30, "test": 20},
}


@pytest.fixture(params=list(Dataset.registry))
def dataset(request, tmp_path):
    return Dataset.registry[request.param](**EXAMPLES[request.param](tmp_path))


@pytest.mark.parametrize("split", ["train", "test"])
def test_info_says_what_is_loaded(dataset, split):
    info, source = dataset.info(), dataset.load(split)
    assert getattr(info, split) == len(source) == len(source.labels)
    indices = np.array([len(source) - 1, 0])
    images = source.read(indices)
    assert images.shape == (2, *info.shape)
    assert images.dtype in (np.uint8, np.float32)
    assert source.labels.dtype == np.int64
    assert 0 <= source.labels.min() <= source.labels.max() < len(info.classes)
    assert all(isinstance(name, str) for name in info.classes)
    assert all(isinstance(size, int) for size in info.shape)


def test_what_is_read_is_a_new_array(dataset):
    source, indices = dataset.load("train"), np.arange(2)
    images = source.read(indices)
    expected = images.copy()
    images += 1
    np.testing.assert_array_equal(source.read(indices), expected)


def test_splits_are_train_and_test(dataset):
    with pytest.raises(ArgumentError, match=r"must be 'train' or 'test'"):
        dataset.load("validation")


@pytest.mark.parametrize("name", list(Dataset.registry))
def test_each_says_whose_it_is_and_where(name):
    cls = Dataset.registry[name]
    assert cls.licence
    assert cls.located()
    assert cls.__doc__
