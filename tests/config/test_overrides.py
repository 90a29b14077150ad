from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpucnn.config import load
from gpucnn.errors import ConfigError

CONFIG: dict[str, Any] = {
    "name": "a",
    "data": {"dataset": "digits"},
    "model": [
        {"conv2d": 8},
        "batch_norm",
        "relu",
        {"residual": ["relu", {"conv2d": {"out_channels": 8, "padding": "same"}}]},
        "flatten",
        {"dense": 10},
    ],
}


def get(dumped: Any, *path: str | int) -> Any:
    for part in path:
        dumped = dumped[part]
    return dumped


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=7", ("seed",), 7),
        ("name='7'", ("name",), "7"),
        (" seed = 7", ("seed",), 7),
        ("training.epochs=3", ("training", "epochs"), 3),
        ("training={epochs: 3}", ("training", "epochs"), 3),
        ("training.checkpoint_every.steps=4", ("training", "checkpoint_every"), {"steps": 4}),
        ("data.validation=0.25", ("data", "validation"), 0.25),
        (
            "data.augment=[horizontal_flip]",
            ("data", "augment", 0),
            {"horizontal_flip": {"rate": 0.5, "alternating": False}},
        ),
        ("data.normalize={mean: [0], std: [1e-1]}", ("data", "normalize"), {"mean": [0.0], "std": [0.1]}),
        ("optimizer.sgd.lr=1e-3", ("optimizer", "sgd", "lr"), 1e-3),
        ("optimizer.sgd.lr=1e-3", ("optimizer", "sgd", "momentum"), 0.9),  # the default's other arguments stay
        ("optimizer.adam.lr=1e-3", ("optimizer", "adam", "lr"), 1e-3),
        ("optimizer=adam", ("optimizer", "adam", "beta1"), 0.9),
        ("loss.cross_entropy.label_smoothing=.1", ("loss", "cross_entropy", "label_smoothing"), 0.1),
        ("schedule.one_cycle.warmup=0.2", ("schedule", "one_cycle", "warmup"), 0.2),
        ("data.dataset.synthetic.train=400", ("data", "dataset", "synthetic", "train"), 400),
        ("model[0].conv2d={out_channels: 8, bias: false}", ("model", 0, "conv2d", "bias"), False),
        ("model[0].conv2d.padding=same", ("model", 0, "conv2d", "padding"), "same"),
        ("model[0].conv2d.padding=same", ("model", 0, "conv2d", "out_channels"), 8),
        ("model.0.conv2d.kernel_size=[3, 1]", ("model", 0, "conv2d", "kernel_size"), [3, 1]),
        ("model[1].batch_norm.momentum=0.5", ("model", 1, "batch_norm", "momentum"), 0.5),
        ("model[2]=tanh", ("model", 2), "tanh"),
        ("model[-4]=tanh", ("model", 2), "tanh"),
        ("model[3].residual[0]=tanh", ("model", 3, "residual", "layers", 0), "tanh"),
        ("model[3].residual.layers[0]=tanh", ("model", 3, "residual", "layers", 0), "tanh"),
        ("model[3].residual[1].conv2d.bias=false", ("model", 3, "residual", "layers", 1, "conv2d", "bias"), False),
    ],
)
def test_an_override_changes_that_setting(override: str, path: tuple[str | int, ...], value: object) -> None:
    overrides = [override] if "synthetic" not in override else [override, "data.dataset.synthetic.size=8"]
    dumped = load(CONFIG, overrides).dump()
    assert get(dumped, *path) == value


def test_an_override_changes_nothing_else() -> None:
    plain, changed = load(CONFIG).dump(), load(CONFIG, ["model[3].residual[1].conv2d.bias=false"]).dump()
    changed["model"][3]["residual"]["layers"][1]["conv2d"]["bias"] = True
    assert changed == plain
    assert CONFIG["model"][0] == {"conv2d": 8}


def test_the_last_of_two_overrides_wins() -> None:
    assert load(CONFIG, ["training.epochs=3", "training.epochs=4", "training={epochs: 5}"]).training.epochs == 5
    assert load(CONFIG, ["training={epochs: 5}", "training.epochs=4"]).training.epochs == 4


def test_an_override_switches_early_stopping_on() -> None:
    overrides = ["training.early_stopping.patience=3", "data.validation=100"]
    stopping = load(CONFIG, overrides).training.early_stopping
    assert stopping is not None
    assert stopping.patience == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "must be key.path=value"),
        ("=3", "must be key.path=value"),
        ("a..b=3", "must be key.path=value"),
        ("model[x]=3", "must be key.path=value"),
        ("model[0]conv2d=3", "must be key.path=value"),
        ("seed=[1", "seed: the value is not YAML: "),
        ("seed=!!python/name:os.system x", "seed: the tag !!python/name:os.system is not allowed"),
        ("data={batch_size: 1, batch_size: 2}", "data.batch_size: stands here a second time"),
        ("seed=__import__('os')", "seed: must be a whole number; got \"__import__('os')\""),
        ("seed=", "seed: must be a whole number; got null"),
        ("seed=-1", "seed: must be at least 0; got -1"),
        ("seed.x=1", "seed: is 0, which has nothing at 'x'"),
        ("data.batch_size.x=1", "data.batch_size: is 128, which has nothing at 'x'"),
        ("trainig.epochs=1", "trainig: unknown key; did you mean 'training'?"),
        ("training.epoch=1", "training.epoch: unknown key; did you mean 'epochs'?"),
        ("training=5", "training: must be a mapping with epochs"),
        ("model=3", "model: must be a list"),
        ("model.x=3", "model: is a list: name one of its items by number, not 'x'"),
        ("model[6]=relu", "model: has items [0] to [5]; got [6]"),
        ("model[-7]=relu", "model: has items [0] to [5]; got [-7]"),
        ("data.augment[0]=cutout", "data.augment: has no items; got [0]"),
        ("model[0].dense.bias=true", "model[0]: is 'conv2d', not 'dense'"),
        ("model[2].relu.slope=1", "model[2].relu.slope: unknown key; known: none"),
        ("model[0].conv2d.out_chanels=1", "model[0].conv2d.out_chanels: unknown key; did you mean 'out_channels'?"),
        ("optimizer.adma.lr=1", "optimizer: unknown optimizer 'adma'; did you mean 'adam'?"),
        ("optimizer[0]=1", "optimizer: "),
        ("data.validation=1797", "data.validation: "),
        ("model[5].dense=9", "model[5].dense: the network ends in 9, but the data has 10 classes"),
    ],
)
def test_a_wrong_override_is_told_as_such(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(CONFIG, [override])
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"override {override!r}: {message}")


def test_what_is_wrong_elsewhere_is_told_with_the_overrides(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: a\nseed: x\ndata: {dataset: digits}\nmodel: [flatten, {dense: 10}]\n")
    with pytest.raises(ConfigError) as caught:
        load(path, ["model[7]=relu", "data.workers=-1"])
    assert str(caught.value).splitlines() == [
        f"{path}:2:1: seed: must be a whole number; got 'x'",
        "override 'model[7]=relu': model: has items [0] to [1]; got [7]",
        "override 'data.workers=-1': data.workers: must be at least 0; got -1",
    ]
    assert load(path, ["seed=1"]).seed == 1
