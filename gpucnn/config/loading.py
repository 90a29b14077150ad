"""Loading an experiment: read, override, check each setting, check them against each other; all errors at once."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gpucnn.config.clashes import clashes
from gpucnn.config.document import open_document
from gpucnn.config.experiment import Data, Experiment, Training
from gpucnn.config.overrides import apply
from gpucnn.config.yaml_file import write_text
from gpucnn.problems import Location, Problem, problems

_PLACEHOLDERS = {"name": "unnamed", "data": {}, "model": ["flatten"]}
_SECTIONS = {"data": Data, "training": Training}


def load(config: str | Path | Mapping[str, Any] | Experiment, overrides: Sequence[str] = ()) -> Experiment:
    """Return the experiment that a file (or a dict of the same form) describes, checked without training.

    overrides: texts such as `training.epochs=3`, applied in order, checked as the file is.
    Raises ConfigError, whose message has a line for each problem: `FILE:LINE:COLUMN: path: what is wrong`.

    >>> load({"name": "a", "data": {"dataset": "synthetic"}, "model": ["relu"]})
    Traceback (most recent call last):
    gpucnn.errors.ConfigError: config: model[0].relu: the network ends in 8x8x1, but the data has 10 classes: ...
    """
    document = open_document(config)
    apply(document, overrides)
    experiment: Experiment | None = None
    found: list[Problem] = []
    try:
        experiment = Experiment.model_validate(document.data)
    except ValidationError as error:
        found = problems(error, Experiment, document.data)
    document.add(found)
    sound = experiment or _salvaged(document.data, found)
    if sound is not None:
        document.add(clashes(sound, [problem.location for problem in found]))
    if document.problems or experiment is None:
        raise document.error()
    return experiment


def to_yaml(experiment: Experiment) -> str:
    """Return an experiment as a config file, every default written out."""
    return write_text(experiment.dump())


def _salvaged(data: dict[str, Any], found: list[Problem]) -> Experiment | None:
    """Return what is left of an experiment without the settings that are wrong: so that the rest is checked too."""
    data = copy.deepcopy(data)
    for problem in sorted(found, key=lambda p: str(p.location), reverse=True):
        _remove(data, problem.location)
    data = {**_PLACEHOLDERS, **{key: value for key, value in data.items() if value or key != "model"}}
    data["data"].setdefault("dataset", "synthetic")
    try:
        return Experiment.model_validate(data)
    except ValidationError:
        return None


def _remove(data: dict[str, Any], location: Location) -> None:
    """Remove what is wrong: one setting of a section, a layer with those after it, or a whole other setting."""
    section = data.get(str(location[0]))
    if len(location) > 1 and location[0] in _SECTIONS and isinstance(section, dict):
        section.pop(location[1], None)
    elif len(location) > 1 and location[0] == "model" and isinstance(section, list):
        del section[int(location[1]) :]
    else:
        data.pop(str(location[0]), None)
