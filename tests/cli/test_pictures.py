"""What `gpucnn predict` is given becomes raw images as the network was trained on, or one message."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gpucnn.cli.pictures import images, inverted
from gpucnn.errors import DataError

GRAY, RGB = (8, 8, 1), (6, 10, 3)


@pytest.fixture
def gradient():
    return np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def test_an_image_of_the_networks_size_is_taken_as_it_is(tmp_path, gradient):
    Image.fromarray(gradient).save(tmp_path / "a.png")
    batch, note = images(tmp_path / "a.png", GRAY, "uint8")
    assert note == ""
    np.testing.assert_array_equal(batch, gradient[None, :, :, None])


def test_an_image_of_another_size_is_resized_and_that_is_told(tmp_path, gradient):
    large = np.kron(gradient, np.ones((3, 4), np.uint8))
    Image.fromarray(large).save(tmp_path / "a.png")
    batch, note = images(tmp_path / "a.png", GRAY, "uint8")
    assert note == "resized from 24 x 32 to 8 x 8 (bilinear, antialiased)"
    assert batch.shape == (1, 8, 8, 1)
    assert np.abs(batch[0, 1:-1, 1:-1, 0].astype(int) - gradient[1:-1, 1:-1]).max() <= 12


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_any_kind_of_image_file_gets_the_networks_channels(tmp_path, mode):
    Image.new("RGB", (10, 6), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    for shape in (RGB, (6, 10, 1)):
        batch, note = images(tmp_path / "a.png", shape, "uint8")
        assert (batch.shape, batch.dtype, note) == ((1, *shape), np.uint8, "")
        assert (batch == 255).all()


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (5, 8, 8), (5, 8, 8, 1)])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_an_array_is_one_image_or_many(tmp_path, name, shape, rng):
    array = rng.integers(0, 256, shape, np.uint8)
    np.save(tmp_path / name, array) if name == "a.npy" else np.savez(tmp_path / name, array)
    batch, _ = images(tmp_path / name, GRAY, "uint8")
    np.testing.assert_array_equal(batch, array.reshape(-1, *GRAY))


def test_of_several_arrays_the_one_called_images_is_taken(tmp_path, rng):
    array = rng.integers(0, 256, (3, *GRAY), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", labels=np.arange(3), images=array)
    np.testing.assert_array_equal(images(tmp_path / "a.npz", GRAY, "uint8")[0], array)


def write_truncated(path):
    Image.new("L", (8, 8)).save(path)
    path.write_bytes(path.read_bytes()[:40])


REFUSED = {
    "none.png": (lambda path: None, "No such file"),
    "text.png": (lambda path: path.write_text("hello"), "cannot identify"),
    "cut.png": (write_truncated, ""),
    "none.npy": (lambda path: None, "No such file"),
    "text.npy": (lambda path: path.write_text("hello"), "not a sound .npy file of numbers, as numpy.save writes them"),
    "empty.npy": (lambda path: path.touch(), "not a sound .npy file"),
    "zero.npy": (lambda path: np.save(path, np.zeros((0, 8, 8), np.uint8)), "holds no images"),
    "shape.npy": (lambda path: np.save(path, np.zeros((4, 9, 9), np.uint8)), "(4, 9, 9)"),
    "object.npy": (lambda path: np.save(path, np.array([{}])), "Python objects"),
    "range.npy": (lambda path: np.save(path, np.full((8, 8), 300)), "300"),
    "two.npz": (lambda path: np.savez(path, a=np.zeros((8, 8)), b=np.zeros((8, 8))), "found a, b"),
    "none.npz": (lambda path: np.savez(path), "found none"),
    "folder.png": (lambda path: path.mkdir(), "Is a directory"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_use_is_named_with_the_reason(tmp_path, name):
    write, reason = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(DataError) as caught:
        images(tmp_path / name, GRAY, "uint8")
    assert str(caught.value).startswith(str(tmp_path / name))
    assert reason in str(caught.value)
    assert "pickle" not in str(caught.value)


@pytest.mark.parametrize(("shape", "dtype"), [((8, 8, 4), "uint8"), (GRAY, "float32")])
def test_image_files_are_refused_where_their_numbers_would_mean_something_else(tmp_path, shape, dtype):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=f"trained on {dtype} images of {shape[2]} channels: .*npy"):
        images(tmp_path / "a.png", shape, dtype)


def test_inverting_exchanges_dark_and_bright():
    np.testing.assert_array_equal(inverted(np.array([0, 1, 255], np.uint8)), np.array([255, 254, 0], np.uint8))
    np.testing.assert_array_equal(inverted(np.array([0.0, 0.25, 1.0])), np.array([1.0, 0.75, 0.0]))
