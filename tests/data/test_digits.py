from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from gpucnn.data.digits import Digits


def test_sizes_and_split():
    digits = Digits()
    info, train, test = digits.info(), digits.load("train"), digits.load("test")
    assert (info.train, info.test) == (len(train), len(test)) == (1442, 355)
    images, tested = train.read(np.arange(1442)), test.read(np.arange(355))
    assert (images.shape, images.dtype, images.min(), images.max()) == ((1442, 8, 8, 1), np.uint8, 0, 255)
    assert np.bincount(test.labels).tolist() == [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]
    assert not {image.tobytes() for image in tested} & {image.tobytes() for image in images}


def test_against_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    pixels, labels = datasets.load_digits(return_X_y=True)
    seen, expected = dict.fromkeys(range(10), 0), {"train": [], "test": []}
    for image, label in zip(pixels, labels, strict=True):
        seen[int(label)] += 1
        expected["test" if seen[int(label)] % 5 == 0 else "train"].append((image, label))
    for split, pairs in expected.items():
        source = Digits().load(split)
        images = source.read(np.arange(len(source))).reshape(-1, 64)
        # v is scaled by 255/16, rounded half up; numpy rounds half to even, which differs at v = 8 alone (127.5)
        np.testing.assert_array_equal(images, np.floor(np.stack([image for image, _ in pairs]) * 255 / 16 + 0.5))
        assert source.labels.tolist() == [label for _, label in pairs]


def test_the_attribution_comes_with_it():
    text = (resources.files("gpucnn.data.digits") / "LICENSE").read_text()
    for part in ("Alpaydin", "Kaynak", "CC BY 4.0", "10.24432/C50P49", "Changes made"):
        assert part in text
