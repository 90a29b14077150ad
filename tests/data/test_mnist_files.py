"""MNIST and Fashion-MNIST: the same reader, different names, places and classes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from checks.writers import write_idx, write_mnist

from gpucnn.data import files
from gpucnn.data.fashion_mnist import FashionMnist
from gpucnn.data.mnist import Mnist
from gpucnn.errors import ArgumentError, DataError


@pytest.mark.parametrize("ending", ["-idx{}-ubyte", "-idx{}-ubyte.gz", ".idx{}-ubyte", ".idx{}-ubyte.gz"])
@pytest.mark.parametrize("cls", [Mnist, FashionMnist])
def test_reads_every_usual_name(tmp_path, cls, ending):
    dataset = cls(write_mnist(tmp_path, 20, 10, ending))
    train, test = dataset.load("train"), dataset.load("test")
    assert train.read(np.array([7, 3]))[:, 5, 9, 0].tolist() == [7, 3]
    assert test.read(np.array([9]))[0, 0, 0, 0] == 109
    assert train.labels.tolist() == [i % 10 for i in range(20)]
    assert (dataset.info().train, dataset.info().test, dataset.info().shape) == (20, 10, (28, 28, 1))


def test_plain_files_come_before_compressed_ones(tmp_path):
    write_mnist(tmp_path, 20)
    write_mnist(tmp_path, 13, ending="-idx{}-ubyte")
    assert len(Mnist(tmp_path).load("train")) == 13


def test_places_in_their_order(tmp_path, monkeypatch):
    system, root = tmp_path / "system", tmp_path / "root"
    monkeypatch.setattr(FashionMnist, "system", (str(system),))
    assert FashionMnist().info().train == 60_000  # the usual size, as long as no file says otherwise
    expected = [
        (system, 1),
        (tmp_path / "cache" / "gpucnn" / "fashion_mnist", 2),
        (root, 3),
        (root / "fashion_mnist", 4),
    ]
    monkeypatch.setenv("GPUCNN_DATA", str(root))
    for folder, count in expected:  # each comes before those that are filled already
        write_mnist(folder, count)
        assert len(FashionMnist().load("train")) == count
        assert FashionMnist.located() == str(folder)


def test_a_path_is_the_only_place_there_is(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUCNN_DATA", str(write_mnist(tmp_path / "root")))
    with pytest.raises(DataError, match=r"nowhere: no such folder"):
        Mnist(str(tmp_path / "nowhere")).load("train")


def test_a_relative_path_may_lie_below_gpucnn_data(tmp_path, monkeypatch):
    write_mnist(tmp_path / "root" / "small", 6)
    monkeypatch.setenv("GPUCNN_DATA", str(tmp_path / "root"))
    monkeypatch.chdir(tmp_path)
    assert len(Mnist("small").load("train")) == 6
    write_mnist(tmp_path / "small", 5)
    assert len(Mnist("small").load("train")) == 5


def test_not_found_says_where_was_looked_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUCNN_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    write_idx(tmp_path / "mnist" / "train-images-idx3-ubyte", np.zeros((1, 28, 28)))
    with pytest.raises(DataError) as error:
        Mnist().load("train")
    text = str(error.value)
    assert f"{tmp_path / 'mnist'}: lacks train-labels-idx1-ubyte" in text
    assert f"{tmp_path / 'cache' / 'gpucnn' / 'mnist'}: no such folder" in text
    assert "train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz]" in text
    assert "gpucnn data fetch mnist" in text


def test_one_split_needs_no_files_of_the_other(tmp_path):
    folder = write_mnist(tmp_path)
    for file in folder.glob("train-*"):
        file.unlink()
    assert len(Mnist(folder).load("test")) == 10
    with pytest.raises(DataError, match=r"lacks train-images"):
        Mnist(folder).load("train")


@pytest.mark.parametrize(("ending", "place"), [("-idx{}-ubyte", r" \(byte 12\)"), ("-idx{}-ubyte.gz", "")])
def test_a_label_out_of_range(tmp_path, ending, place):
    folder = write_mnist(tmp_path, 6, ending=ending)
    write_idx(folder / f"train-labels{ending.format(1)}", np.array([0, 9, 1, 2, 10, 11]))
    with pytest.raises(DataError, match=rf"train-labels.*: label of image 4{place}: expected 0 to 9, found 10"):
        Mnist(folder).load("train")


def test_counts_that_differ(tmp_path):
    folder = write_mnist(tmp_path, 6)
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.zeros(5))
    with pytest.raises(DataError, match=r"number of labels: expected 6, as many as images in .*images.*, found 5"):
        Mnist(folder).load("train")


@pytest.mark.parametrize("ending", ["-idx{}-ubyte", "-idx{}-ubyte.gz"])
def test_no_images_at_all(tmp_path, ending):
    with pytest.raises(DataError, match=r"number of images: expected at least 1, found 0"):
        Mnist(write_mnist(tmp_path, 0, ending=ending)).load("train")


def test_images_of_another_size(tmp_path):
    folder = write_mnist(tmp_path, 2)
    write_idx(folder / "train-images-idx3-ubyte.gz", np.zeros((2, 27, 28)))
    with pytest.raises(DataError, match=r"expected 28 x 28 pixels an image, found 27 x 28"):
        Mnist(folder).load("train")


def test_files_of_another_data_set_with_the_same_names(tmp_path, monkeypatch):
    folder = write_mnist(tmp_path)
    digest = hashlib.md5(bytes(range(10)) * 2).hexdigest()
    monkeypatch.setitem(files._OWNERS, digest, "mnist")
    assert len(Mnist(folder).load("train")) == 20
    with pytest.raises(DataError, match=r"expected those of fashion_mnist, found those of mnist; .* folder of its own"):
        FashionMnist(folder).load("train")


def test_folders_that_may_not_be_entered_are_passed_over(tmp_path, monkeypatch):
    def denied(self):
        raise PermissionError(13, "Permission denied")

    folder = write_mnist(tmp_path / "data")
    monkeypatch.setattr(Path, "is_file", denied)
    monkeypatch.setattr(Path, "exists", denied)
    with pytest.raises(DataError, match=r"data: no such folder, or one that may not be entered"):
        Mnist(folder).load("train")


def test_a_home_that_nobody_has():
    with pytest.raises(DataError, match=r"~nobody-of-that-name/x: no such folder"):
        Mnist("~nobody-of-that-name/x").load("train")


def test_another_split_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"split \(='validation'\) must be 'train' or 'test'"):
        Mnist(tmp_path).load("validation")


@pytest.mark.parametrize(("cls", "mean"), [(Mnist, 33.318), (FashionMnist, 72.940)])
@pytest.mark.usefixtures("_real_data")
def test_the_real_files(cls, mean):
    if cls.located() == "not found":
        pytest.skip(f"{cls.name} is not on this machine: GPUCNN_DATA can say where it is")
    train, test = cls().load("train"), cls().load("test")
    assert (len(train), len(test)) == (60_000, 10_000)
    assert np.bincount(test.labels).min() >= 892
    assert train.read(np.arange(60_000)).mean() == pytest.approx(mean, abs=1e-3)
    assert Path(cls.located()).is_dir()
