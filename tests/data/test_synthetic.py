from __future__ import annotations

import numpy as np

from gpucnn.data.synthetic import Synthetic


def test_the_same_arguments_give_the_same_images():
    indices = np.array([5, 1, 900])
    first = Synthetic(size=(9, 7), channels=2, seed=3).load("train").read(indices)
    again = Synthetic(size=(9, 7), channels=2, seed=3).load("train")
    assert first.shape == (3, 9, 7, 2)
    np.testing.assert_array_equal(again.read(indices), first)
    np.testing.assert_array_equal(again.read(indices[1:2]), first[1:2])
    assert (Synthetic(size=(9, 7), channels=2, seed=4).load("train").read(indices) != first).any()


def test_splits_differ():
    dataset = Synthetic()
    train, test = dataset.load("train"), dataset.load("test")
    assert (len(train), len(test)) == (1024, 256)
    assert (train.read(np.arange(256)) != test.read(np.arange(256))).any(axis=(1, 2, 3)).mean() > 0.99
    np.testing.assert_array_equal(np.bincount(train.labels), [103, 103, 103, 103, 102, 102, 102, 102, 102, 102])


def test_it_can_be_learned_from_the_training_images_alone():
    dataset = Synthetic(size=12, classes=20)
    train, test = dataset.load("train"), dataset.load("test")
    x, tested = train.read(np.arange(1024)).reshape(1024, -1) / 255, test.read(np.arange(256)).reshape(256, -1) / 255
    centres = np.stack([x[train.labels == label].mean(axis=0) for label in range(20)])
    nearest = ((tested[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == test.labels).mean() > 0.95


def test_a_large_one_costs_nothing_until_it_is_read():
    source = Synthetic(size=224, channels=3, classes=1000, train=1_000_000).load("train")
    assert source.read(np.array([999_999])).shape == (1, 224, 224, 3)
    assert source._patterns.nbytes < 200 << 20
