"""`gpucnn eval` and `gpucnn predict` on a network that was trained on real digits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gpucnn
from gpucnn.cli import main
from gpucnn.data.base import Dataset
from gpucnn.training.observer import Observer


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory) -> Path:
    """A finished run of a few steps, not to be changed."""
    config = {
        "name": "tiny",
        "device": "cpu",
        "data": {"dataset": "digits", "validation": 0.1},
        "model": ["flatten", {"dense": 16}, "relu", {"dense": 10}],
        "training": {"epochs": 3},
    }
    return gpucnn.train(config, run_dir=tmp_path_factory.mktemp("runs") / "tiny", observer=Observer()).path


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The test images and their labels."""
    source = Dataset.registry["digits"]().load("test")
    return source.read(np.arange(len(source))), source.labels


def test_eval_says_what_the_run_found_at_its_end(tiny_run, capsys):
    assert main(["eval", str(tiny_run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    at_end = json.loads((tiny_run / "evaluation.json").read_text())
    assert found["split"] == "test"
    assert found["epoch"] == 3
    for key in ("images", "loss", "accuracy", "confusion", "per_class"):
        assert found[key] == at_end[key]


def test_eval_prints_a_table_of_the_classes(tiny_run, capsys):
    assert main(["eval", str(tiny_run), "--split", "validation"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("validation: 144 images, accuracy ")
    assert lines[2].split() == ["class", "precision", "recall", "F1", "images"]
    assert [line.split()[0] for line in lines[3:]] == list("0123456789")
    assert sum(int(line.split()[-1]) for line in lines[3:]) == 144


def test_eval_takes_one_checkpoint(tiny_run, capsys):
    checkpoint = tiny_run / "checkpoints" / "best.safetensors"
    assert main(["eval", str(checkpoint), "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == str(checkpoint)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [(["none"], 1, "none does not exist"), (["RUN", "--split", "tset"], 2, "'tset'"), (["/dev/null"], 1, "/dev/null")],
)
def test_eval_tells_mistakes_in_one_message(tiny_run, capsys, arguments, code, message):
    assert main(["eval", *(str(tiny_run) if a == "RUN" else a for a in arguments)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[0]


def test_a_damaged_checkpoint_is_passed_over_with_a_word(tiny_run, tmp_path, capsys):
    copy = tmp_path / "copy"
    (copy / "checkpoints").mkdir(parents=True)
    names = sorted(path.name for path in (tiny_run / "checkpoints").glob("step-*.safetensors"))
    for name in names:
        (copy / "checkpoints" / name).write_bytes((tiny_run / "checkpoints" / name).read_bytes())
    (copy / "checkpoints" / names[-1]).write_bytes(b"damaged")
    assert main(["eval", str(copy), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["epoch"] == 2
    assert err.startswith(f"passed over: {copy / 'checkpoints' / names[-1]}")


def test_predict_names_the_likeliest_classes(tiny_run, digits, tmp_path, capsys):
    images, labels = digits
    np.save(tmp_path / "all.npy", images)
    assert main(["predict", str(tiny_run), str(tmp_path / "all.npy"), "--json", "--top", "10"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["index"] for one in found] == list(range(len(images)))
    probabilities = gpucnn.load(tiny_run).predict(images)
    for one, row in zip(found, probabilities, strict=True):
        assert [float(row[int(top["class"])]) for top in one["top"]] == [top["probability"] for top in one["top"]]
        assert [top["probability"] for top in one["top"]] == sorted(row.tolist(), reverse=True)
    right = np.mean([int(one["top"][0]["class"]) == label for one, label in zip(found, labels, strict=True)])
    assert right == json.loads((tiny_run / "evaluation.json").read_text())["accuracy"]


def test_predict_reads_image_files_and_inverts_them_if_asked(tiny_run, digits, tmp_path, capsys):
    image = digits[0][0]
    bright, dark, large = tmp_path / "bright.png", tmp_path / "dark.png", tmp_path / "large.png"
    Image.fromarray(image[..., 0]).save(bright)
    Image.fromarray(255 - image[..., 0]).save(dark)
    Image.fromarray(np.kron(image[..., 0], np.ones((4, 4), np.uint8))).save(large)
    assert main(["predict", str(tiny_run), str(bright), str(large)]) == 0
    out, err = capsys.readouterr()
    head, first, second = out.splitlines()
    assert head.split() == ["file", "top", "1", "probability", "top", "2", "probability", "top", "3", "probability"]
    assert first.split()[:2] == [str(bright), str(digits[1][0])]
    assert second.split()[0] == str(large)
    assert err == f"{large}: resized from 32 x 32 to 8 x 8 (bilinear, antialiased)\n"
    assert main(["predict", str(tiny_run), str(dark), "--invert"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:] == first.split()[1:]


def test_predict_names_what_it_cannot_read_and_goes_on(tiny_run, digits, tmp_path, capsys):
    good, bad = tmp_path / "good.npy", tmp_path / "bad.png"
    np.save(good, digits[0][0])
    bad.write_text("no image")
    assert main(["predict", str(tiny_run), str(bad), str(good), str(tmp_path / "none.png"), "--json"]) == 1
    out, err = capsys.readouterr()
    assert [one["file"] for one in json.loads(out)] == [str(good)]
    assert [line.split(":")[1].strip() for line in err.splitlines()] == [str(bad), str(tmp_path / "none.png")]
    assert all(line.startswith("error: ") for line in err.splitlines())
