from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gpucnn.data.image_folder import ImageFolder
from gpucnn.data.pictures import read_picture
from gpucnn.errors import DataError


def draw(path, value, size=(6, 5), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size[::-1], value).save(path)


@pytest.fixture
def folder(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for number, name in enumerate(("cat", "dog")):
            for i in range(count):
                draw(tmp_path / split / name / f"{i}.png", (10 * number, i, 7))
    return tmp_path


def test_folders_are_classes_and_splits(folder):
    dataset = ImageFolder(folder)
    info = dataset.info()
    assert (info.shape, info.classes, info.train, info.test) == ((6, 5, 3), ("cat", "dog"), 6, 4)
    train = dataset.load("train")
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    images = train.read(np.array([4, 0]))
    assert images[:, 2, 3].tolist() == [[10, 1, 7], [0, 0, 7]]
    assert dataset.load("test").labels.tolist() == [0, 0, 1, 1]


def test_a_folder_that_is_not_split(folder):
    dataset = ImageFolder(folder / "train", test=0.34)
    train, test = dataset.load("train"), dataset.load("test")
    assert (len(train), len(test), dataset.info().train) == (4, 2, 4)
    assert sorted(train.files + test.files) == sorted((folder / "train").glob("*/*.png"))
    assert ImageFolder(folder / "train", test=0.34).load("test").files == test.files


def test_gray_resized(folder):
    draw(folder / "train" / "cat" / "0.png", (100, 100, 100), size=(12, 10))
    source = ImageFolder(folder, size=[4, 3], color="gray").load("train")
    images = source.read(np.arange(2))
    assert images.shape == (2, 4, 3, 1)
    assert images[0].min() == images[0].max() == 100


def test_other_files_and_hidden_ones_are_left_out(folder):
    (folder / "train" / "cat" / "notes.txt").write_text("x")
    (folder / "train" / "cat" / ".0.png").write_text("x")
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "README").write_text("x")
    assert ImageFolder(folder).info().train == 6


def test_an_image_of_another_size(folder):
    draw(folder / "train" / "dog" / "1.png", 0, size=(6, 4))
    with pytest.raises(DataError, match=r"1.png: size: expected 6 x 5 pixels, found 6 x 4; give `size`"):
        ImageFolder(folder).load("train").read(np.array([4]))


def test_unreadable_images(folder):
    path = folder / "train" / "dog" / "2.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"2.png: "):
        ImageFolder(folder).load("train").read(np.array([5]))
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"2.png: cannot be read: cannot identify image file"):
        ImageFolder(folder).load("train").read(np.array([5]))


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_more_than_8_bits_are_refused(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "F" else "a.png")
    Image.new(mode, (3, 3)).save(path)
    with pytest.raises(DataError, match=rf"expected 8 bits a colour, found mode {mode}"):
        read_picture(path, 1)


def test_a_photograph_is_turned_upright(tmp_path):
    picture, exif = Image.new("RGB", (8, 4)), Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert read_picture(tmp_path / "a.jpg", 3).shape == (8, 4, 3)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_every_usual_mode(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (3, 2)).save(path)
    assert read_picture(path, 3).shape == (2, 3, 3)
    assert read_picture(path, 1).shape == (2, 3, 1)


def test_empty_folders(folder, tmp_path):
    (folder / "train" / "owl").mkdir()
    with pytest.raises(DataError, match=r"owl: images: expected at least one \(.bmp .*\), found none"):
        ImageFolder(folder).info()
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match=r"void: classes: expected a folder for each class, found none"):
        ImageFolder(tmp_path / "void").info()
    with pytest.raises(DataError, match=r"no such file or folder"):
        ImageFolder(tmp_path / "none").info()


def test_a_class_that_is_only_tested(folder):
    draw(folder / "test" / "owl" / "0.png", 0)
    with pytest.raises(DataError, match=r"expected those of .*train, found also owl"):
        ImageFolder(folder).load("test")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data(), st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "PPM"]))
@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it does not understand
def test_damage_is_refused_or_changes_nothing_but_pixels(tmp_path, data, kind):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    raw = bytearray(buffer.getvalue())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "a.img"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        found = read_picture(path, 3, (7, 9))
    except DataError:
        return
    assert (found.shape, found.dtype) == ((7, 9, 3), np.uint8)
