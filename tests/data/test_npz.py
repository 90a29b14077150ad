from __future__ import annotations

import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpucnn.data.mapped import MappedArray
from gpucnn.data.npz import Npz
from gpucnn.errors import ArgumentError, DataError

IMAGES = np.arange(6 * 4 * 5 * 3, dtype=np.uint8).reshape(6, 4, 5, 3)
LABELS = np.array([0, 1, 2, 0, 1, 2])
FOUR = {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES[:2], "test_labels": LABELS[:2]}
ALIASES = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:2], "y_test": LABELS[:2]}


@pytest.fixture
def save(tmp_path):
    def save(arrays, compress=False):
        path = tmp_path / "data.npz"
        (np.savez_compressed if compress else np.savez)(path, **arrays)
        return path

    return save


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("arrays", [FOUR, ALIASES], ids=["names", "aliases"])
def test_round_trip(save, arrays, compress):
    dataset = Npz(save(arrays, compress))
    info, train = dataset.info(), dataset.load("train")
    assert (info.shape, info.classes, info.train, info.test) == ((4, 5, 3), ("0", "1", "2"), 6, 2)
    order = np.array([4, 0, 5])
    np.testing.assert_array_equal(train.read(order), IMAGES[order])
    assert train.labels.tolist() == LABELS.tolist()
    assert isinstance(train.images, np.ndarray if compress else MappedArray)


@pytest.mark.parametrize("compress", [False, True])
def test_gray_images_and_fortran_order(save, compress):
    gray = np.asfortranarray(IMAGES[..., 0])
    source = Npz(save({**FOUR, "train_images": gray, "test_images": gray[:2]}, compress)).load("train")
    np.testing.assert_array_equal(source.read(np.arange(6)), IMAGES[..., :1])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_float_images_become_float32(save, dtype):
    values = (IMAGES / 255).astype(dtype)
    images = Npz(save({**FOUR, "train_images": values})).load("train").read(np.arange(6))
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, values.astype(np.float32))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_what_is_not_finite_is_refused_where_it_is_read(save, value, compress):
    values = IMAGES.astype(float)
    values[3, 1, 2, 0] = value
    source = Npz(save({**FOUR, "train_images": values}, compress)).load("train")
    assert source.read(np.array([0, 1])).shape == (2, 4, 5, 3)
    with pytest.raises(DataError, match=r"train_images': image 3, pixel \(1, 2, 0\): expected a finite number"):
        source.read(np.array([5, 3]))


def test_a_file_that_is_not_split(save):
    dataset = Npz(save({"images": IMAGES[:5], "labels": LABELS[:5]}), test=0.4)
    train, test = dataset.load("train"), dataset.load("test")
    assert (dataset.info().train, dataset.info().test, len(train), len(test)) == (3, 2, 3, 2)
    both = np.concatenate([train.read(np.arange(3)), test.read(np.arange(2))])
    seen = sorted(image.tobytes() for image in both)
    assert seen == sorted(image.tobytes() for image in IMAGES[:5])
    for source in (train, test):
        for image, label in zip(source.read(np.arange(len(source))), source.labels, strict=True):
            (place,) = [i for i in range(5) if np.array_equal(IMAGES[i], image)]
            assert LABELS[place] == label


def test_labels_that_are_no_classes(save):
    path = save({**FOUR, "train_labels": LABELS * 10**15})
    with pytest.raises(DataError, match=r"labels: expected numbers below 8, the images, found 2000000000000000; "):
        Npz(path).info()


@pytest.mark.parametrize("test", [0.0, 1.0])
def test_both_splits_need_images(save, test):
    with pytest.raises(ArgumentError, match="test: must be"):
        Npz(save({"images": IMAGES, "labels": LABELS}), test=test)


def test_classes_by_name_and_number(save):
    path = save(FOUR)
    assert Npz(path, classes=["a", "b", "c"]).info().classes == ("a", "b", "c")
    assert Npz(path, classes=5).info().classes == ("0", "1", "2", "3", "4")
    with pytest.raises(DataError, match=r"train_labels': label of image 2: expected 0 to 1, found 2"):
        Npz(path, classes=2).load("train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": LABELS[:5]}, "array 'train_labels': number of labels: expected 6, .*, found 5"),
        ({"train_labels": LABELS - 1}, "label of image 0: expected 0 to 2, found -1"),
        ({"train_labels": LABELS * 1.0}, r"expected whole numbers of shape \(N,\), found shape \(6,\) of float64"),
        ({"train_labels": LABELS[:, None]}, r"expected whole numbers of shape \(N,\), found shape \(6, 1\)"),
        ({"train_images": IMAGES.astype(int)}, "array 'train_images': expected uint8 or float images, found int64"),
        ({"train_images": IMAGES[0]}, "number of labels: expected 4"),
        ({"train_images": IMAGES.reshape(6, -1)}, r"expected shape \(N, H, W\) or \(N, H, W, C\), found \(6, 60\)"),
        ({"train_images": IMAGES.astype(object)}, r"expected numbers, found Python objects \(pickled\)"),
        ({"train_labels": LABELS.astype(object)}, r"expected numbers, found Python objects \(pickled\)"),
        ({"test_images": IMAGES[:2, :3]}, r"'test_images': expected images of \(4, 5, 3\), .* found \(3, 5, 3\)"),
        ({"train_images": IMAGES[:0], "train_labels": LABELS[:0]}, "number of images: expected at least 1, found 0"),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_messages(save, changes, message, compress):
    dataset = Npz(save({**FOUR, **changes}, compress), classes=3)
    with pytest.raises(DataError, match=message):
        [dataset.load(split) for split in ("train", "test")]


def test_arrays_that_are_missing(save):
    with pytest.raises(DataError, match=r"expected test_images or x_test and test_labels or y_test .*found \['train"):
        Npz(save({"train_images": IMAGES, "train_labels": LABELS})).load("test")


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"path .*none.npz': no such file or folder"):
        Npz(tmp_path / "none.npz").load("train")
    (tmp_path / "a.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"a.npz: not a sound .npz \(zip\) file"):
        Npz(tmp_path / "a.npz").load("train")
    with pytest.raises(DataError, match=r"cannot be read: Is a directory"):
        Npz(tmp_path).load("train")


def test_a_header_that_promises_more_than_there_is(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, array in FOUR.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array)
                if name == "train_images":
                    file.write(b"surplus")
    with pytest.raises(DataError, match=r"'train_images': expected 360 bytes for 6 x 4 x 5 x 3 .*, found 367"):
        Npz(tmp_path / "a.npz").load("train")


def test_an_encrypted_member(save):
    path = save(FOUR)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"PK\x01\x02")
    struct.pack_into("<H", raw, place + 8, 1)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"encrypted"):
        Npz(path).load("train")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.data(), st.booleans())
def test_damage_is_refused_or_changes_nothing_but_pixels(save, data, compress):
    path = save(FOUR, compress)
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    try:
        source = Npz(path).load("train")
        images = source.read(np.arange(len(source)))
    except DataError:
        return
    assert images.shape == IMAGES.shape
    assert source.labels.tolist() == LABELS.tolist()  # they have a checksum
