from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpucnn.config import Experiment, load, to_yaml
from gpucnn.errors import ConfigError
from gpucnn.registry import Registry

GOOD = """\
name: good
data: {dataset: {synthetic: {size: 8, train: 100}}, batch_size: 16}
model:
  - conv2d: 8
  - relu
  - max_pool2d: 2
  - flatten
  - dense: 10
"""

Errors = Callable[..., list[str]]


@pytest.fixture
def errors(tmp_path: Path) -> Errors:
    """The lines of the error that a config's text leads to, without the name of the file."""

    def errors(text: str, *overrides: str) -> list[str]:
        path = tmp_path / "my.yaml"
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            load(path, overrides)
        return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]

    return errors


def with_lines(**changed: str) -> str:
    """GOOD with some of its lines written otherwise, or added."""
    sections = {"name": "name: good", "data": GOOD.splitlines()[1], "model": "\n".join(GOOD.splitlines()[2:])}
    return "\n".join({**sections, **changed}.values())


def model(*layers: str) -> str:
    """GOOD with other layers, on lines 4, 5, ..."""
    return with_lines(model="\n".join(["model:", *(f"  - {layer}" for layer in layers)]))


def test_a_good_config_gives_every_setting_its_value_or_default(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(GOOD)
    experiment = load(path)
    assert (experiment.name, experiment.seed, experiment.device, experiment.precision) == ("good", 0, "auto", "float32")
    assert experiment.data.dataset.build().info().train == 100
    assert [spec.name for spec in experiment.model] == ["conv2d", "relu", "max_pool2d", "flatten", "dense"]
    assert experiment.model[0].dump()["conv2d"]["out_channels"] == 8
    assert experiment.loss.name == "cross_entropy"
    assert experiment.optimizer.dump()["sgd"]["lr"] == 0.1
    assert experiment.optimizer.dump()["sgd"]["momentum"] == 0.9
    assert (experiment.schedule.name, experiment.training.epochs) == ("constant", 10)


def test_all_errors_are_told_at_once_in_the_order_of_the_file(errors: Errors) -> None:
    text = """\
nmae: x
data:
  dataset: {synthetic: {size: 8, train: 100}}
  normalize: {mean: [0.1, 0.2], std: [0.5]}
  augment: [cutout: 9, horizontal_flop]
model:
  - dense: 3
  - conv2d: {out_chanels: 3}
training: {epochs: 0, early_stopping: {patience: 2}}
"""
    found = errors(text, "seed=-1", "schedule=cosin")
    starts = [
        "1:1: nmae: unknown key; did you mean 'name'?",
        "4:15: data.normalize.mean: must have one number a channel",
        "5:24: data.augment[1]: unknown augmentation 'horizontal_flop'; did you mean 'horizontal_flip'?",
        "7:5: model[0].dense: ",
        "8:14: model[1].conv2d.out_chanels: unknown key; did you mean 'out_channels'?",
        "9:12: training.epochs: must be above 0; got 0",
        "9:23: training.early_stopping: needs images to validate with",
        "override 'seed=-1': seed: must be at least 0; got -1",
        "override 'schedule=cosin': schedule: unknown schedule 'cosin'; did you mean 'cosine'?",
    ]
    assert len(found) == len(starts), found
    for line, start in zip(found, starts, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"name": "name: 5"}, "1:1: name: must be text; got 5; did you mean '5', in quotes?"),
        ({"name": "name: a/b"}, "1:1: name: must be letters, digits, '.', '-' and '_', the first a letter or digit"),
        ({"name": ""}, "2:1: name: required, but missing"),
        ({"data": "data: digits"}, "2:1: data: must be a mapping with dataset, batch_size,"),
        ({"data": "data: {batch_size: 3}"}, "2:1: data.dataset: required, but missing"),
        ({"data": "data: {dataset: minst}"}, "2:8: data.dataset: unknown dataset 'minst'; did you mean 'mnist'?"),
        ({"data": "data: {dataset: {digits: 3}}"}, "2:18: data.dataset.digits: "),
        ({"data": "data: {dataset: digits, batch_size: '64'}"}, "2:25: data.batch_size: must be a whole number; got"),
        ({"data": "data: {dataset: digits, batch_size: 64.5}"}, "2:25: data.batch_size: must be a whole number; got"),
        ({"data": "data: {dataset: digits, batch_size: true}"}, "2:25: data.batch_size: must be a whole number; got"),
        ({"data": "data: {dataset: digits, batch_size:}"}, "2:25: data.batch_size: must be a whole number; got null"),
        ({"data": "data: {dataset: digits, validation: 1.5}"}, "2:25: data.validation: must be a number of images"),
        ({"data": "data: {dataset: digits, validation: true}"}, "2:25: data.validation: must be a number of images"),
        ({"data": "data: {dataset: digits, augment: cutout}"}, "2:25: data.augment: must be a list (`- item` lines"),
        (
            {"data": "data: {dataset: digits, normalize: perchannel}"},
            "2:25: data.normalize: must be 'per_channel' or 'none', or a mapping with mean, std; got 'perchannel'; "
            "did you mean 'per_channel'?",
        ),
        (
            {"data": "data: {dataset: digits, normalize: {mean: [0], std: [0]}}"},
            "2:54: data.normalize.std[0]: must be above 0; got 0",
        ),
        (
            {"data": "data: {dataset: digits, normalize: {mean: [0]}}"},
            "2:25: data.normalize.std: required, but missing",
        ),
        ({"x": "seed: 1e3"}, "9:1: seed: must be a whole number; got 1000.0"),
        ({"x": "seed: '7'"}, "9:1: seed: must be a whole number; got '7'; did you mean 7?"),
        ({"x": "device: gpu"}, "9:1: device: must be auto, cpu, cuda or cuda:N; got 'gpu'"),
        ({"x": "precision: 32"}, "9:1: precision: must be 'float32', 'float64', 'tf32', 'bf16' or 'fp16'; got 32"),
        (
            {"x": "precision: flaot32"},
            "9:1: precision: must be 'float32', 'float64', 'tf32', 'bf16' or 'fp16'; got 'flaot32'; did you mean",
        ),
        (
            {"x": "loss: [mse]"},
            "9:1: loss: must be one loss: a name, or `name: arguments` (known: binary_cross_entropy",
        ),
        ({"x": "loss: {mse: 3}"}, "9:8: loss.mse: must be 'mean' or 'half_sum'; got 3"),
        ({"x": "loss: {mse: 1, cross_entropy: 2}"}, "9:1: loss: must be one loss: a name, or `name: arguments`; got 2"),
        ({"x": "optimizer: {sgd: {lr: fast}}"}, "9:19: optimizer.sgd.lr: must be a number; got 'fast'"),
        ({"x": "optimizer: {sgd: {lr: '1e-3'}}"}, "9:19: optimizer.sgd.lr: must be a number; got '1e-3'; did you mean"),
        ({"x": "optimizer: {sgd: {lr: .inf}}"}, "9:19: optimizer.sgd.lr: must be a finite number; got inf"),
        ({"x": "optimizer: {sgd: {lr: .nan}}"}, "9:19: optimizer.sgd.lr: must be a finite number; got nan"),
        (
            {"x": "optimizer: {sgd: {nesterov: on}}"},
            "9:19: optimizer.sgd.nesterov: must be true or false; got 'on'; did",
        ),
        ({"x": "training: {epochs: 0}"}, "9:12: training.epochs: must be above 0; got 0"),
        (
            {"x": "training: 5"},
            "9:1: training: must be a mapping with epochs, checkpoint_every, keep_every, micro_batch, "
            "early_stopping, evaluate; ",
        ),
        (
            {"x": "training: {checkpoint_every: often}"},
            "9:12: training.checkpoint_every: must be a whole number, or a mapping with steps; got 'often'",
        ),
        ({"x": "training: {checkpoint_every: 0}"}, "9:12: training.checkpoint_every: must be above 0; got 0"),
        (
            {"x": "training: {checkpoint_every: {step: 1}}"},
            "9:31: training.checkpoint_every.step: unknown key; did you mean 'steps'? known: steps",
        ),
        (
            {"x": "training: {checkpoint_every: {steps: 0}}"},
            "9:31: training.checkpoint_every.steps: must be above 0; got",
        ),
        (
            {"x": "training: {early_stopping: 5}"},
            "9:12: training.early_stopping: must be a mapping with patience, moni",
        ),
        ({"x": "name: again"}, "9:1: name: stands here a second time; the first is at 1:1: keep one"),
    ],
)
def test_a_wrong_setting_gets_one_message(errors: Errors, lines: dict[str, str], message: str) -> None:
    found = errors(with_lines(**lines))
    assert len(found) == 1, found
    assert found[0].startswith(message)
    assert "Input" not in found[0]
    assert "instance" not in found[0]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["relu: 3"], "4:5: model[0].relu: relu takes no arguments; got 3"),
        (["conv2d:", "  out_channels: 8"], "4:5: model[0].conv2d.out_channels: required, but missing"),
        (
            ["conv2d:\n    out_channels: 8"],
            "4:5: model[0]: must be one layer: indent 'out_channels' further than 'conv2d'",
        ),
        (["con2d: 8"], "4:5: model[0]: unknown layer 'con2d'; did you mean 'conv2d'? known: avg_pool2d"),
        (["3"], "4:5: model[0]: must be one layer: a name, or `name: arguments` (known: avg_pool2d"),
        ([""], "4:4: model[0]: must be one layer: a name"),
        (["conv2d: {out_channels: -8}"], "4:14: model[0].conv2d.out_channels: must be above 0; got -8"),
        (["conv2d: -8"], "4:5: model[0].conv2d: must be above 0; got -8"),
        (
            ["conv2d: {out_channels: 8, kernel_size: [3]}"],
            "4:31: model[0].conv2d.kernel_size: must be a whole number from 1, or two of them, [height, width]; got",
        ),
        (["conv2d: {out_channels: 8, padding: full}"], "4:31: model[0].conv2d.padding: must be a whole number from 0"),
        (["conv2d: {out_channels: 8, bias: yes}"], "4:31: model[0].conv2d.bias: must be true or false; got 'yes'; did"),
        (["sequential: {layers: [relu], repeat: 1001}"], "4:34: model[0].sequential.repeat: must be at most 1000; got"),
        (["dropout: 1.0"], "4:5: model[0].dropout: must be below 1; got 1.0"),
        (["residual: relu"], "4:5: model[0].residual: must be a list (`- item` lines, or [item, item]); got 'relu'"),
        (["residual: [relu, conv2d: {out: 1}]"], "4:31: model[0].residual[1].conv2d.out: unknown key; did you mean"),
        (
            ["residual: {layers: [rellu]}"],
            "4:25: model[0].residual.layers[0]: unknown layer 'rellu'; did you mean 'relu'",
        ),
        (["dense: 10"], "4:5: model[0].dense: "),
        (["residual: [relu, dense: 10]", "flatten", "dense: 10"], "4:22: model[0].residual[1].dense: "),
        (["flatten", "dense: 9"], "5:5: model[1].dense: the network ends in 9, but the data has 10 classes: end with"),
        (["flatten", "dense: 3", "con2d: 3"], "6:5: model[2]: unknown layer 'con2d'"),
        (["conv2d: 8", "dense: 10", "con2d: 3"], "5:5: model[1].dense: "),
    ],
)
def test_a_wrong_layer_is_told_with_its_place(errors: Errors, layers: list[str], message: str) -> None:
    found = errors(model(*layers))
    assert found[0].startswith(message), found


def test_a_single_class_is_nothing_to_learn(errors: Errors) -> None:
    found = errors(with_lines(data="data: {dataset: {synthetic: {classes: 1}}}"), "model[-1].dense=1")
    assert found == [
        "2:18: data.dataset.synthetic: has a single class, '0': a network learns to tell two or more apart"
    ]


def test_an_empty_network_is_refused(errors: Errors) -> None:
    (found,) = errors(with_lines(model="model: []"))
    assert found.startswith("3:1: model: must have at least 1 item")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data: {dataset: {synthetic: {train: 100}}, validation: 100}", "2:44: data.validation: is 100, but must be"),
        ("data: {dataset: {synthetic: {train: 1}}, validation: 0.5}", "2:42: data.validation: "),
        (
            "data: {dataset: {synthetic: {train: 100}}, validation: 50, batch_size: 51}",
            "2:60: data.batch_size: is 51, but there are only 50 images to train on: choose 50 or less",
        ),
        (
            "data: {dataset: {synthetic: {train: 100}}, batch_size: 9, normalize: {mean: [0, 0], std: [1]}}",
            "2:71: data.normalize.mean: must have one number a channel, that is 1 for this data set; got 2",
        ),
        (
            "data: {dataset: {synthetic: {train: 300}}, augment: [horizontal_flip, cutout: 9]}",
            "2:71: data.augment[1].cutout: size (=[9, 9]) must be at most",
        ),
    ],
)
def test_settings_that_clash_with_the_data(errors: Errors, line: str, message: str) -> None:
    (found,) = errors(with_lines(data=line))
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("layers", "size", "message"),
    [
        (["flatten", "batch_norm", "dense: 10"], 33, "is 33, so the last batch of an epoch holds 1 of the 100 images"),
        (["flatten", "residual: [batch_norm]", "dense: 10"], 99, "try 98"),
        (["flatten", "batch_norm", "dense: 10"], 1, "is 1, so a batch holds 1 image, and batch_norm"),
        (["flatten", "batch_norm", "dense: 10"], 32, ""),
        (["batch_norm", "flatten", "dense: 10"], 33, ""),
        (["flatten", "dense: 10"], 33, ""),
    ],
)
def test_batch_norm_of_a_single_number_is_refused(layers: list[str], size: int, message: str, errors: Errors) -> None:
    text = model(*layers).replace("batch_size: 16", f"batch_size: {size}")
    if message:
        (found,) = errors(text)
        assert found.startswith("2:53: data.batch_size: ")
        assert message in found
    else:
        assert load(load_text(text)).data.batch_size == size


def test_the_loss_is_checked_against_the_classes(errors: Errors) -> None:
    (found,) = errors(with_lines(x="loss: {cross_entropy: {class_weights: [1, 2]}}"))
    assert found.startswith("9:8: loss.cross_entropy: class_weights has 2 numbers, ")


def test_a_warm_up_must_be_shorter_than_the_run(errors: Errors) -> None:
    text = with_lines(x="training: {epochs: 2}\nschedule: {one_cycle: {warmup: 14}}")
    (found,) = errors(text)
    assert found == (
        "10:24: schedule.one_cycle.warmup: is 14 steps, which must be less than the run: 2 epochs of 7 steps, 14 in all"
    )
    assert load({**Experiment.model_validate(load_text(text)).dump(), "training": {"epochs": 3}})


def load_text(text: str) -> Any:
    from gpucnn.config.yaml_file import read_text

    return read_text(text, "f").data


def test_early_stopping_needs_validation_images(errors: Errors) -> None:
    text = with_lines(x="training: {early_stopping: {patience: 3}}")
    (found,) = errors(text)
    assert found.startswith("9:12: training.early_stopping: needs images to validate with: set data.validation")
    (found,) = errors(text, "data.validation=0.1", "seed=x")
    assert found.startswith("override 'seed=x'")


def test_a_data_set_whose_files_are_needed_and_missing(errors: Errors, tmp_path: Path) -> None:
    found = errors(with_lines(data=f"data: {{dataset: {{npz: {{path: {tmp_path}/none.npz}}}}}}"))
    assert found[0].startswith("2:18: data.dataset.npz")
    assert "none.npz" in found[0]


def test_a_data_set_whose_files_are_missing_is_no_error_where_its_shape_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GPUCNN_DATA", str(tmp_path))
    assert load({"name": "a", "data": {"dataset": "mnist"}, "model": ["flatten", {"dense": 10}]})


def test_a_dict_gets_the_same_messages() -> None:
    config = {"name": "a", "data": {"dataset": "digits"}, "model": ["flatten", {"dense": 9}], "seed": -1}
    with pytest.raises(ConfigError) as caught:
        load(config)
    assert str(caught.value).splitlines() == [
        "config: seed: must be at least 0; got -1",
        "config: model[1].dense: the network ends in 9, but the data has 10 classes: "
        "end with flatten (or global_avg_pool2d) and dense: 10",
    ]
    assert config["model"] == ["flatten", {"dense": 9}]


def test_a_dict_may_hold_what_notebooks_have() -> None:
    from gpucnn.data.base import Dataset
    from gpucnn.layers.base import Layer

    layers = [Layer.registry["flatten"](), Layer.registry["dense"](10)]
    data = {
        "dataset": Dataset.registry["digits"](),
        "batch_size": np.int64(32),
        "normalize": {"mean": (0.5,), "std": [1]},
    }
    experiment = load({"name": "a", "data": data, "model": layers, "optimizer": {"sgd": {"lr": np.float32(0.5)}}})
    assert experiment.model[1].dump()["dense"]["out_features"] == 10
    assert experiment.data.batch_size == 32
    assert load(experiment.dump()) == experiment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the config is empty: it needs at least name, data, model"),
        ("# nothing", "1:1: the config is empty"),
        ("- a", "1:1: the config must be `key: value` settings, not ['a']: it needs at least"),
        ("text", "1:1: the config must be `key: value` settings, not 'text'"),
    ],
)
def test_a_file_without_settings(errors: Errors, text: str, message: str) -> None:
    (found,) = errors(text)
    assert found.startswith(message)


def test_a_nest_without_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    with pytest.raises(ConfigError, match="nested more than 50"):
        load(endless)


def _examples() -> list[dict[str, Any]]:
    """Experiments that use everything registered that needs no file, each with arguments where it has some."""
    options: dict[str, list[Any]] = {
        "loss": [*Registry.kinds["loss"]],
        "optimizer": [*Registry.kinds["optimizer"], {"sgd": {"lr": 0.5, "momentum": 0.9, "nesterov": True}}],
        "schedule": ["constant", "cosine", {"one_cycle": {"warmup": 5}}, {"step": {"every": 0.3}}],
    }
    base = load_text(GOOD)
    return [{**base, key: value} for key, values in options.items() for value in values]


@pytest.mark.parametrize("config", _examples(), ids=lambda config: str(list(config.values())[-1]))
def test_a_dumped_experiment_loads_as_the_same(config: dict[str, Any], tmp_path: Path) -> None:
    experiment = load(config)
    assert load(experiment.dump()) == experiment
    (tmp_path / "resolved.yaml").write_text(to_yaml(experiment))
    again = load(tmp_path / "resolved.yaml")
    assert again == experiment
    assert to_yaml(again) == to_yaml(experiment)


PAIR = st.integers(1, 2) | st.tuples(st.integers(1, 2), st.integers(1, 2)).map(list)
LAYER = st.recursive(
    st.sampled_from(["relu", "tanh", {"dropout": 0.25}, "batch_norm", {"batch_norm": {"momentum": 0.5}}])
    | st.builds(
        lambda k, s, bias: {
            "conv2d": {"out_channels": 1, "kernel_size": k, "stride": 1, "padding": "same", "bias": bias}
        },
        PAIR,
        PAIR,
        st.booleans(),
    ),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda layers: {"residual": layers}),
    max_leaves=6,
)


@given(
    layers=st.lists(LAYER, max_size=4),
    seed=st.integers(0, 2**63 - 1),
    validation=st.integers(0, 9) | st.floats(0, 0.5),
    normalize=st.sampled_from(["none", "per_channel", {"mean": [0.1], "std": [1e-5]}]),
    every=st.integers(1, 5) | st.fixed_dictionaries({"steps": st.integers(1, 5)}),
    lr=st.floats(1e-9, 1e9, allow_subnormal=False),
)
def test_any_experiment_survives_being_written(
    layers: list[Any], seed: int, validation: float, normalize: Any, every: Any, lr: float
) -> None:
    experiment = load(
        {
            "name": "any",
            "seed": seed,
            "data": {"dataset": "synthetic", "validation": validation, "normalize": normalize},
            "model": [*layers, "flatten", {"dense": 10}],
            "optimizer": {"sgd": lr},
            "training": {"checkpoint_every": every},
        }
    )
    assert load(load_text(to_yaml(experiment))) == experiment


NAMES = sorted(itertools.chain.from_iterable(kind.classes for kind in Registry.kinds.values()))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.sampled_from([*NAMES, "same", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*NAMES, "out_channels", "layers", "path", "lr"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Experiment.model_fields, "x"]), JUNK))
def test_any_junk_is_refused_in_lines_that_name_it(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        load({**config, "x": 1})
    assert "config: x: unknown key" in str(caught.value)
    assert all(line.startswith("config: ") for line in str(caught.value).splitlines() if not line.startswith(" "))


def test_bf16_without_ml_dtypes_is_one_line(errors, monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    (line,) = errors(GOOD + "precision: bf16\n")
    assert line.startswith("9:1: precision: is bf16, but bfloat16 needs ml_dtypes (")
    assert line.endswith("): pip install ml_dtypes")


def test_tf32_is_not_exact(errors):
    (line,) = errors(GOOD + "precision: tf32\nnumerics: exact\n")
    assert line.startswith("10:1: numerics: is exact, but precision is tf32, which rounds")
