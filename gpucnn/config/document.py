"""An experiment as it was written: plain data, where each setting stands, and what is wrong with it, in that order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gpucnn.config.experiment import Experiment
from gpucnn.config.yaml_file import MAX_DEPTH, Place, read_file
from gpucnn.errors import ConfigError
from gpucnn.problems import Location, Problem, path, short
from gpucnn.registry import Registered, Spec


class Document:
    """Settings that are not checked yet. Overrides change them in place."""

    def __init__(self, data: Any, places: dict[Location, Place], root: Place) -> None:
        self.data, self.places, self.root = data, places, root
        self.problems: list[tuple[Place, Problem]] = []

    def place(self, location: Location) -> Place:
        """Return where a setting stands; for one that was not written, where the setting that should hold it stands."""
        for length in range(len(location), -1, -1):
            if location[:length] in self.places:
                return self.places[location[:length]]
        return self.root

    def written(self, location: Location) -> Location:
        """Return a location as this document has it: `residual: [...]` leaves out the name `layers`."""
        found: list[str | int] = []
        value = self.data
        for part in location:
            if isinstance(value, list) and isinstance(part, str):
                continue
            found.append(part)
            if isinstance(value, dict):
                value = value.get(part)
            else:
                value = dict(enumerate(value)).get(int(part)) if isinstance(value, list) else None
        return tuple(found)

    def add(self, problems: Iterable[Problem]) -> None:
        """Note what is wrong."""
        for problem in problems:
            location = self.written(problem.location)
            self.problems.append((self.place(location), Problem(location, problem.message)))

    def error(self) -> ConfigError:
        """Return everything that is wrong: a line each, ordered as the file, then as the overrides."""
        found = sorted(self.problems, key=lambda item: item[0].order)
        texts = (f"{place.text}: {problem}".replace("\n", "\n    ") for place, problem in found)
        return ConfigError("\n".join(dict.fromkeys(texts)))


def open_document(config: str | Path | Mapping[str, Any] | Experiment) -> Document:
    """Return what a file, a dict or an experiment says. Raises ConfigError where that cannot be read."""
    if isinstance(config, (str, Path)):
        written = read_file(config)
        document = Document(written.data, written.places, Place((0, 1, 1), f"{config}:1:1"))
        document.problems += written.problems
    else:
        data = config.dump() if isinstance(config, Experiment) else _plain(config, ())
        document = Document(data, {}, Place((0, 0, 0), "config"))
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else f"must be `key: value` settings, not {short(document.data)}"
        needed = ", ".join(name for name, field in Experiment.model_fields.items() if field.is_required())
        raise ConfigError(f"{document.place(()).text}: the config {what}: it needs at least {needed}")
    return document


def _plain(value: Any, location: Location) -> Any:
    """Return what Python was given as a file would say it: lists, dicts, numbers and text alone."""
    if len(location) > MAX_DEPTH:
        raise ConfigError(f"config: {path(location)[:60]}...: is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return {key: _plain(item, (*location, str(key))) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, (*location, i)) for i, item in enumerate(value)]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (Registered, Spec)):
        return (value if isinstance(value, Spec) else value.spec).dump()
    return str(value) if isinstance(value, Path) else value
