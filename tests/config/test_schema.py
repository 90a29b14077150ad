from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpucnn.config import load
from gpucnn.config.schema import DIALECT, json_schema, to_json
from gpucnn.config.yaml_file import read_file, read_text
from gpucnn.registry import Registry, arguments_model

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = sorted(CONFIGS.glob("*.yaml"))
GOOD: dict[str, Any] = {"name": "a", "data": {"dataset": "digits"}, "model": ["flatten", {"dense": 10}]}


@pytest.fixture(scope="session")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


def test_the_schema_names_its_dialect_and_describes_itself() -> None:
    schema = json_schema()
    assert schema["$schema"] == DIALECT
    assert schema["required"] == ["name", "data", "model"]
    assert all(field.get("description") for field in schema["properties"].values())
    assert all(field.get("description") for field in schema["$defs"]["Data"]["properties"].values())
    assert "kind" not in str([list(definition) for definition in schema["$defs"].values()])


def test_everything_registered_is_in_the_schema() -> None:
    definitions = json_schema()["$defs"]
    for kind, registry in Registry.kinds.items():
        names = definitions[kind]["anyOf"][1]["properties"]
        assert list(names) == list(registry)
        for name, cls in registry.classes.items():
            assert list(definitions[f"{kind}.{name}"].get("properties", {})) == list(arguments_model(cls).model_fields)
            assert definitions[f"{kind}.{name}"]["description"]


def test_arguments_are_described_by_the_docstring_of_their_class() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["augmentation.cutout"]["properties"]["size"]["description"].startswith(
        "of the patch, one number"
    )
    levels = [definitions["loss.mse"]["properties"][key]["description"] for key in ("low", "high")]
    assert levels[0] == levels[1]
    assert levels[0].startswith("the targets' levels.")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configs_are_valid_and_name_the_schema(path: Path, validator: Any) -> None:
    validator.validate(read_file(path).data)
    assert path.read_text().startswith("# yaml-language-server: $schema=experiment.schema.json\n")
    validator.validate(load(path).dump())


def test_the_schema_beside_the_shipped_configs_is_fresh() -> None:
    text = (CONFIGS / "experiment.schema.json").read_text()
    assert text == to_json(), "run: gpucnn schema > configs/experiment.schema.json"


@pytest.mark.parametrize(
    "text",
    [
        "loss: mse",
        "loss: {mse: half_sum}",
        "loss: {mse: }",
        "optimizer: {adam: 1e-3}",
        "optimizer: {sgd: {lr: 1, momentum: 0.5}}",
        "schedule: {step: {milestones: [0.5, 7]}}",
        "training: {checkpoint_every: {steps: 3}, early_stopping: {patience: 3}}",
        "training: {early_stopping: null}",
        "data: {dataset: {synthetic: {size: [8, 9]}}, augment: [horizontal_flip, {random_crop: 2}], validation: 0.1}",
        "data: {dataset: digits, normalize: {mean: [0], std: [1]}}",
        "model: [conv2d: {out_channels: 3, padding: [[1, 0], [0, 1]]}, residual: [relu, residual: {layers: [relu]}]]",
        "device: cuda:3",
        "seed: 9223372036854775807",
    ],
)
def test_what_is_right_is_valid(text: str, validator: Any) -> None:
    validator.validate({**GOOD, **read_text(text, "f").data})


@pytest.mark.parametrize(
    "text",
    [
        "nmae: x",
        "name: 5",
        "name: a/b",
        "seed: -1",
        "seed: 1.5",
        "device: gpu",
        "precision: 16",
        "data: digits",
        "data: {}",
        "data: {dataset: minst}",
        "data: {dataset: digits, validation: 1.5}",
        "data: {dataset: digits, augment: cutout}",
        "data: {dataset: digits, augment: [cutout]}",
        "data: {dataset: digits, normalize: all}",
        "model: []",
        "model: [con2d: 8]",
        "model: [conv2d]",
        "model: [conv2d: ]",
        "model: [conv2d: 0]",
        "model: [conv2d: {out_channels: 8, kernel: 3}]",
        "model: [{conv2d: 8, relu: }]",
        "model: [relu: 3]",
        "model: [residual: [con2d: 8]]",
        "model: [dropout: 1.0]",
        "loss: {mse: sum}",
        "optimizer: {sgd: {lr: fast}}",
        "training: {checkpoint_every: 0}",
        "training: {checkpoint_every: {step: 3}}",
    ],
)
def test_what_is_wrong_is_invalid_for_both(text: str, validator: Any) -> None:
    config = {**GOOD, **read_text(text, "f").data}
    assert not validator.is_valid(config)
    with pytest.raises(Exception, match="config: "):
        load(config)


def _alone() -> list[tuple[str, str]]:
    """Every registered thing whose arguments all have defaults."""
    everything = ((kind, name) for kind, registry in Registry.kinds.items() for name in registry)
    return [(kind, name) for kind, name in everything if _is_optional(kind, name)]


def _is_optional(kind: str, name: str) -> bool:
    fields = arguments_model(Registry.kinds[kind][name]).model_fields.values()
    return not any(field.is_required() for field in fields)


@pytest.mark.parametrize(("kind", "name"), _alone())
def test_a_dumped_spec_is_valid(kind: str, name: str, validator: Any) -> None:
    schema = {"$ref": f"#/$defs/{kind}", "$defs": validator.schema["$defs"]}
    try:
        dumped = Registry.kinds[kind].validate(name).dump()
    except Exception:  # its constructor needs one of several arguments
        assert name == "step"
        return
    one = validator.evolve(schema=schema)
    assert all(one.is_valid(form) for form in (name, {name: None}, dumped))
