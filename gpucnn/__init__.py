"""Convolutional neural networks from one YAML file, by hand-written backpropagation on NumPy or CuPy.

    run = gpucnn.train("configs/digits.yaml")
    run.predict(images)

Importing this package imports nothing heavy: `train`, `load`, `ops` and the rest are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpucnn import ops
    from gpucnn.model import Model
    from gpucnn.training import Run, load, train

__version__ = "0.1.0"
__all__ = ["Model", "Run", "__version__", "load", "ops", "train"]

_HOMES = {"Model": "gpucnn.model", "Run": "gpucnn.training", "load": "gpucnn.training", "train": "gpucnn.training"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "ops":
        return importlib.import_module("gpucnn.ops")
    raise AttributeError(f"module 'gpucnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, "ops"])
