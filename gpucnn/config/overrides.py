"""Overrides: `training.epochs=3`, `model[3].conv2d.out_channels=64`, `optimizer.adam.lr=1e-3` put into a document.

A path may go where the file says nothing (the default is changed there) and through short forms (`relu`, `dense: 10`).
Values are YAML, read by the same safe reader as the file.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gpucnn.config.document import Document
from gpucnn.config.experiment import Experiment
from gpucnn.config.yaml_file import Place, read_text
from gpucnn.errors import ConfigError
from gpucnn.problems import Location, Problem, short
from gpucnn.registry import Registered, Spec, arguments_model

_PART = re.compile(r"\[(-?\d+)\]|(?:^|\.)([^.\[\]=]+)")


def apply(document: Document, overrides: Sequence[str]) -> None:
    """Put overrides into a document, the last one last; what cannot be put in is noted there as a problem."""
    for number, text in enumerate(overrides):
        place = Place((1, number, 0), f"override {text!r}")
        try:
            location, value = _parse(text)
            put = _Put(document, place, value)
            document.data = put.into(document.data, location, (), Experiment)
        except _RefusedError as error:
            document.problems.append((place, error.problem))


class _RefusedError(Exception):
    def __init__(self, location: Location, message: str) -> None:
        self.problem = Problem(location, message)


def _parse(text: str) -> tuple[Location, Any]:
    """Return the location and the value of `key.path=value`."""
    key, equals, value = text.partition("=")
    parts = list(_PART.finditer(key))
    if not equals or not parts or "".join(part[0] for part in parts) != key:
        raise _RefusedError((), "must be key.path=value, such as training.epochs=3 or model[0].conv2d.out_channels=64")
    location = tuple(int(part[1]) if part[1] else part[2].strip() for part in parts)
    try:
        written = read_text(value, "")
    except ConfigError as error:
        raise _RefusedError(location, f"the value is not YAML: {str(error).partition(': ')[2]}") from None
    for _, problem in written.problems:
        raise _RefusedError((*location, *problem.location), problem.message)
    return location, written.data


class _Put:
    """One override on its way into a document."""

    def __init__(self, document: Document, place: Place, value: Any) -> None:
        self.document, self.place, self.value = document, place, value

    def into(self, value: Any, rest: Location, at: Location, expected: Any) -> Any:
        """Return `value`, which stands at `at`, with the new value put in at `rest` below it.

        expected: the type that a value has here, as annotated; None where the path leads to nothing known.
        """
        if not rest:
            self._claim(at)
            return self.value
        part, value = rest[0], self._opened(value, rest[0], at, expected)
        if isinstance(value, list):
            index = self._index(value, part, at)
            changed = self.into(value[index], rest[1:], (*at, index), _below(expected, index))
            return [*value[:index], changed, *value[index + 1 :]]
        if not isinstance(value, dict) or (isinstance(part, int) and value and str(part) not in value):
            raise _RefusedError(at, f"is {short(value)}, which has nothing at {part!r}")
        key = str(part)
        if key not in value:
            self.document.places.setdefault((*at, key), self.place)
        inside = value.get(key, _default(expected, key))
        return {**value, key: self.into(inside, rest[1:], (*at, key), _below(expected, key))}

    def _claim(self, at: Location) -> None:
        """Let messages about what stands at `at`, or below it, name the override."""
        places = self.document.places
        for location in [one for one in places if one[: len(at)] == at]:
            del places[location]
        places[at] = self.place

    def _opened(self, value: Any, part: str | int, at: Location, expected: Any) -> Any:
        """Return a value in the form that has `part` inside: short forms written out, an absent section empty."""
        if _chosen(expected) and isinstance(part, str):
            name = value if isinstance(value, str) else next(iter(value), None) if isinstance(value, dict) else None
            if name == part:
                return {part: {}} if isinstance(value, str) else value
            if isinstance(at[-1], int):
                raise _RefusedError(at, f"is {name!r}, not {part!r}")
            self._claim(at)
            return {}  # another optimizer, loss, ...: its arguments start from their own defaults
        if value is None:
            return {}
        model = _model(expected)
        if model is not None and not isinstance(value, dict) and at and at[-1] not in Experiment.model_fields:
            first = next(iter(model.model_fields), None)
            if isinstance(part, str) and first is not None:
                return {first: value}
        return value

    def _index(self, value: list[Any], part: str | int, at: Location) -> int:
        count = len(value)
        numeric = isinstance(part, int) or part.lstrip("-").isdecimal()
        if not numeric:
            raise _RefusedError(at, f"is a list: name one of its items by number, not {part!r}")
        if not -count <= int(part) < count:
            items = f"items [0] to [{count - 1}]" if count else "no items"
            raise _RefusedError(at, f"has {items}; got [{part}]")
        return int(part) % count


def _alternatives(annotation: Any) -> list[Any]:
    """Return the types that an annotation allows: those of `X | None`, `Annotated[X, ...]`, a union."""
    if typing.get_origin(annotation) in (list, Spec) or isinstance(annotation, type):
        return [annotation]
    return [one for inner in typing.get_args(annotation) for one in _alternatives(inner)]


def _chosen(annotation: Any) -> type[Registered] | None:
    """Return the base class whose registry is chosen from here by name, if that is so."""
    for one in _alternatives(annotation):
        base = typing.get_args(one)[0] if typing.get_origin(one) is Spec else one
        if isinstance(base, type) and issubclass(base, Registered):
            return base
    return None


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the settings that are expected here, if they are."""
    models = (one for one in _alternatives(annotation) if isinstance(one, type) and issubclass(one, BaseModel))
    return next(models, None)


def _below(annotation: Any, part: str | int) -> Any:
    """Return the type expected at `part` below a type."""
    base, model = _chosen(annotation), _model(annotation)
    if base is not None:
        return arguments_model(base.registry[str(part)]) if str(part) in base.registry.classes else None
    if model is not None and isinstance(part, str):
        return _annotation(model.model_fields.get(part))
    if model is not None:  # the short form of a first argument that is a list
        return _below(_annotation(next(iter(model.model_fields.values()), None)), part)
    lists = [one for one in _alternatives(annotation) if typing.get_origin(one) is list]
    return typing.get_args(lists[0])[0] if lists else None


def _annotation(field: FieldInfo | None) -> Any:
    return None if field is None else field.annotation


def _default(annotation: Any, key: str) -> Any:
    """Return the default of a setting, as a file would write it; None where there is none."""
    model = _model(annotation)
    field = model.model_fields.get(key) if model is not None else None
    return None if field is None or field.is_required() else field.get_default(call_default_factory=True)
