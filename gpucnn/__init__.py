"""Convolutional neural networks from one YAML file, by hand-written backpropagation on NumPy or CuPy.

    run = gpucnn.train("configs/digits.yaml")
    run.predict(images)

Importing this package imports nothing heavy: `train`, `load`, `ops` and the rest are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpucnn import errors, ops
    from gpucnn.model import Model
    from gpucnn.training.run import Run, load
    from gpucnn.training.session import train

__version__ = "0.1.0"
__all__ = ["Model", "Run", "__version__", "errors", "load", "ops", "train"]

_HOMES = {
    "Model": "gpucnn.model",
    "Run": "gpucnn.training.run",
    "load": "gpucnn.training.run",
    "train": "gpucnn.training.session",
}
_ROOMS = ("errors", "ops")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"gpucnn.{name}")
    raise AttributeError(f"module 'gpucnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})
