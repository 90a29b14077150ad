"""Pictures of a run: drawn for every size, reproducible, and with no trace of themselves in the caller's Matplotlib."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gpucnn.errors import ArgumentError, RunError
from gpucnn.training.plots import confusion_matrix, training_curve

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def rows(epochs: int, validation: bool = True) -> list[dict]:
    return [
        {
            "epoch": epoch,
            "train_loss": 2.0 * 0.7**epoch,
            "train_accuracy": 1 - 0.8 * 0.7**epoch,
            "validation_loss": 2.2 * 0.72**epoch if validation else None,
            "validation_accuracy": 1 - 0.85 * 0.72**epoch if validation else None,
        }
        for epoch in range(1, epochs + 1)
    ]


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def blue(image: np.ndarray) -> int:
    """Return how many pixels are of the validation line's colour."""
    return int((np.abs(image - [0x1D, 0x4E, 0xD8]).sum(axis=2) < 30).sum())


@pytest.mark.parametrize("epochs", [1, 12])
def test_a_curve_shows_validation_where_there_is_one(tmp_path, epochs):
    training_curve(rows(epochs), tmp_path / "with.png", title="digits")
    training_curve(rows(epochs, validation=False), tmp_path / "without.png")
    assert pixels(tmp_path / "with.png").shape[1] > 1300
    assert blue(pixels(tmp_path / "with.png")) > 50
    assert blue(pixels(tmp_path / "without.png")) == 0


def test_values_that_are_not_finite_are_left_out(tmp_path):
    some = rows(4)
    some[2] |= {"train_loss": float("nan"), "validation_loss": float("inf")}
    training_curve(some, tmp_path / "a.png")
    del some[2]["train_loss"], some[2]["validation_loss"]
    training_curve(some, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_any_name_of_a_class_can_be_drawn(tmp_path):
    names = ["$a_{$", "$b$", "\u65e5\u672c", "two\nlines", "\x1b[31m", "caf\udce9", r"\frac", "%"]
    confusion_matrix(np.eye(8, dtype=np.int64), names, tmp_path / "odd.png", title="$_{$")
    assert pixels(tmp_path / "odd.png").size


def test_the_same_numbers_give_the_same_bytes_without_date_or_version(tmp_path):
    for name in ("a.png", "b.png"):
        training_curve(rows(3), tmp_path / name)
        confusion_matrix(np.eye(3, dtype=int), ["a", "b", "c"], tmp_path / f"matrix-{name}")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "matrix-a.png").read_bytes() == (tmp_path / "matrix-b.png").read_bytes()
    for file in tmp_path.iterdir():
        with Image.open(file) as image:
            assert not {"Software", "Creation Time"} & set(image.info)


def test_other_numbers_give_another_picture(tmp_path):
    confusion_matrix(np.array([[9, 1], [2, 8]]), ["cat", "dog"], tmp_path / "a.png")
    confusion_matrix(np.array([[9, 1], [3, 7]]), ["cat", "dog"], tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_the_diagonal_of_a_perfect_network_is_dark_and_the_rest_white(tmp_path):
    confusion_matrix(np.eye(4, dtype=int) * 7, list("abcd"), tmp_path / "m.png")
    image = pixels(tmp_path / "m.png")
    dark = np.argwhere(np.abs(image - [0x1E, 0x3A, 0x8A]).sum(axis=2) < 12)
    corner, opposite = dark.min(axis=0), dark[dark[:, 1] < image.shape[1] * 0.8].max(axis=0)
    side = (opposite - corner) // 4
    for row in range(4):
        for column in range(4):
            y, x = corner + side * [row, column] + side // 5
            assert (image[y, x].sum() < 400) == (row == column), (row, column)


@pytest.mark.parametrize("classes", [1, 2, 31])
def test_a_matrix_of_any_size_is_drawn(tmp_path, classes):
    names = [f"class {i}" for i in range(classes)]
    confusion_matrix(np.zeros((classes, classes), np.int64), names, tmp_path / "m.png")
    assert min(pixels(tmp_path / "m.png").shape[:2]) > 200


def test_a_matrix_that_does_not_fit_its_classes_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"shape \(2, 2\).*3 x 3"):
        confusion_matrix(np.eye(2), ["a", "b", "c"], tmp_path / "m.png")


def test_a_picture_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    with pytest.raises(RunError, match="nowhere"):
        training_curve(rows(2), tmp_path / "nowhere" / "curve.png")
    assert list(tmp_path.iterdir()) == []


def test_the_callers_matplotlib_is_left_alone(tmp_path):
    code = f"""
import sys, matplotlib
matplotlib.rcParams["axes.facecolor"] = "red"
from gpucnn.training.plots import training_curve
training_curve([dict(epoch=1, train_loss=1.0, train_accuracy=0.5)], {str(tmp_path / "red.png")!r})
assert "matplotlib.pyplot" not in sys.modules
assert matplotlib.rcParams["axes.facecolor"] == "red"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    image = pixels(tmp_path / "red.png")
    assert not ((image[..., 0] > 200) & (image[..., 1] < 50)).any()


def test_without_matplotlib_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    with pytest.raises(ImportError, match=r'pip install "gpucnn\[plots\]"'):
        training_curve(rows(1), tmp_path / "curve.png")
