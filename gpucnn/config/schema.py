"""The JSON Schema of the config: what editors complete and check by, derived from the models and the registries."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from gpucnn.config.experiment import Experiment
from gpucnn.registry import Registered, Registry, arguments_model

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config, with everything that is registered in its `$defs`.

    A kind's definition (`layer`, `loss`, ...) takes what `Registry.validate` takes: a name alone, or one name with its
    arguments, or with its first argument alone.

    >>> json_schema()["properties"]["seed"]["default"]
    0
    """
    schema = _of(Experiment)
    definitions = schema.pop("$defs", {})
    kinds = sorted(Registry.kinds)
    for kind in kinds:
        definitions[kind] = _kind(Registry.kinds[kind], definitions)
    whole = {"$schema": DIALECT, "title": "gpucnn experiment", **schema, "$defs": dict(sorted(definitions.items()))}
    resolved: dict[str, Any] = _resolved(whole)
    return resolved


def to_json() -> str:
    """Return the schema as a file's text: configs/experiment.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


class _Generator(GenerateJsonSchema):
    """pydantic's generator without the titles that only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _of(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=_Generator)
    for one in (schema, *schema.get("$defs", {}).values()):
        one.pop("title", None)
    return schema


def _kind(registry: Registry, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one thing of a kind; that of each one's arguments goes to `definitions`."""
    properties, alone = {}, []
    for name, cls in registry.classes.items():
        model = arguments_model(cls)
        schema = _of(model)
        definitions.update(schema.pop("$defs", {}))
        schema["description"] = _paragraphs(cls)[0]
        for key, text in _arguments(cls, list(model.model_fields)).items():
            schema["properties"][key]["description"] = text
        definitions[f"{registry.kind}.{name}"] = schema
        required = [key for key, field in model.model_fields.items() if field.is_required()]
        if not required:
            alone.append(name)
        properties[name] = _forms(model, required, f"{registry.kind}.{name}")
    one = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"anyOf": [{"enum": alone}, {**one, "minProperties": 1, "maxProperties": 1}]}


def _forms(model: type[BaseModel], required: list[str], definition: str) -> dict[str, Any]:
    """Return the schema of what may stand after a name: all arguments, the first alone, or nothing."""
    reference = f"#/$defs/{definition}"
    forms: list[dict[str, Any]] = [{"$ref": reference}]
    first = next(iter(model.model_fields), None)
    if first is not None and set(required) <= {first}:
        forms.append({"$ref": f"{reference}/properties/{first}"})
    if not required:
        forms.append({"type": "null"})
    return {"anyOf": forms} if len(forms) > 1 else forms[0]


def _paragraphs(cls: type[Registered]) -> list[str]:
    """Return the paragraphs of a class's docstring, each on one line."""
    return [" ".join(paragraph.split()) for paragraph in (inspect.getdoc(cls) or cls.name).split("\n\n")]


def _arguments(cls: type[Registered], names: list[str]) -> dict[str, str]:
    """Return what a class's docstring says of each argument: `size: of the patch. low, high: of the targets`."""
    found: dict[str, str] = {}
    name = "|".join(names) or "$"
    for paragraph in _paragraphs(cls)[1:]:
        parts = re.split(rf"(?:^|(?<=[.)] ))((?:{name})(?:, (?:{name}))*): ", paragraph)
        for heads, text in zip(parts[1::2], parts[2::2], strict=True):
            found.update(dict.fromkeys(heads.split(", "), text.strip()))
    return found


def _resolved(value: Any) -> Any:
    """Return a schema whose placeholders `{"kind": ...}`, left by the registry, refer to the kinds' definitions."""
    if isinstance(value, list):
        return [_resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("kind"), str):
        rest = {key: item for key, item in value.items() if key != "kind"}
        return {"$ref": f"#/$defs/{value['kind']}", **rest}
    return {key: _resolved(item) for key, item in value.items()}
