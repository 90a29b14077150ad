"""Golden files: what a run computed, as a few numbers an array, to hold later runs on any machine against.

A run on a GPU writes one (`gpucnn parity CONFIG --write FILE`); a machine without a GPU compares with it what it
computes itself (`--golden FILE`), and so notices when the two drift apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from gpucnn.backend import Array
from gpucnn.config.experiment import Experiment
from gpucnn.errors import ArgumentError
from gpucnn.files import write_atomically
from gpucnn.training.comparison import Losses, Parity
from gpucnn.training.environment import versions
from gpucnn.training.resume import differences
from gpucnn.training.rounding import SHARE
from gpucnn.training.tracing import is_parameter

FORMAT = "gpucnn golden 1"
_FREE = r"name|device|impl|numerics|plans|threads|training\.micro_batch|data\.workers|data\.dataset\.\w+\.path"
"""Settings that change roundings at most."""


def write(path: Path, experiment: Experiment, found: Parity) -> None:
    """Write what our side of a comparison computed; raises RunError where it cannot be written."""
    document = {
        "format": FORMAT,
        "made_by": {"side": found.ours, **versions()},
        "config": experiment.dump(),
        "losses": [losses.ours for losses in found.losses],
        "layers": {
            path: {what: statistics(array) for what, array in computed.values.items()}
            for path, computed in found.computed.items()
        },
    }
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def compare(path: Path, experiment: Experiment, found: Parity) -> list[str]:
    """Return a sentence for everything in which our side differs from a golden file by more than rounding.

    Raises ArgumentError where the file is no golden file, or is one of another experiment.
    """
    document = _read(path)
    try:
        before = Experiment.model_validate(document["config"]).dump()  # what is newer than the file has its default
    except ValidationError as error:
        raise ArgumentError(f"{path} was written by another version: {error}; write it again") from None
    if changed := differences(before, experiment.dump(), _FREE, "in the file"):
        raise ArgumentError("\n".join([f"{path} was written with other settings:", *changed, "write it again"]))
    if len(document["losses"]) < len(found.losses):
        raise ArgumentError(f"{path} holds {len(document['losses'])} steps: compare no more (--steps)")
    return [f"{path}: {problem}" for problem in (*_layers(document, found), *_losses(document, found))]


def statistics(array: Array) -> dict[str, float]:
    """Return mean, root mean square and largest absolute value.

    >>> statistics(np.array([3.0, -4.0]))
    {'mean': -0.5, 'rms': 3.53..., 'max': 4.0}
    """
    numbers = np.asarray(array, np.float64)
    rms = float(np.sqrt(np.mean(numbers * numbers)))
    return {"mean": float(numbers.mean()), "rms": rms, "max": float(np.abs(numbers).max())}


def _layers(document: Mapping[str, Any], found: Parity) -> Iterator[str]:
    for row in found.rows:
        golden = document["layers"].get(row.path, {})
        mine = found.computed[row.path].values
        largest = max((of["max"] for what, of in golden.items() if is_parameter(what)), default=0.0)
        for compared in row.compared:
            if compared.what not in golden:
                yield f"{row.label}: {compared.what} is not in the file"
                continue
            now, then = statistics(mine[compared.what]), golden[compared.what]
            size = max(then["max"], SHARE * largest if is_parameter(compared.what) else 0.0)
            worst = max(now, key=lambda name: abs(now[name] - then[name]))
            if not abs(now[worst] - then[worst]) <= compared.limit * size:
                yield f"{row.label}: {worst} of {compared.what} is {now[worst]!r}, in the file {then[worst]!r}"


def _losses(document: Mapping[str, Any], found: Parity) -> Iterator[str]:
    first = document["losses"][0]
    for losses, then in zip(found.losses, document["losses"], strict=False):
        held = Losses(losses.step, losses.ours, then, losses.limit, first)
        if not held.agrees:
            yield f"the loss of step {held.step} is {held.ours!r}, in the file {then!r}"
            return


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ArgumentError(f"{path} is no golden file of this version: write one with gpucnn parity CONFIG --write")
    return document
