"""Rows as the benchmark of a GPU writes them."""

from __future__ import annotations

from typing import Any


def conv_row(**changes: Any) -> dict[str, Any]:
    return {
        "mode": "float32",
        "shape": "LeNet 1",
        "pass": "forward",
        "right": {"exact": True, "fast": True},
        "errors": {"exact": 1e-7, "fast": 2e-7, "cuDNN": 1e-7},
        "bound": 1e-5,
        "roofline": {"exact": 0.5, "fast": 1.0, "cuDNN": 0.5},
        "ratio": {"exact": 1.0, "fast": 0.5},
        "seconds": {"exact": [2e-6, 1e-6, 3e-6], "fast": [1e-6], "cuDNN": [2e-6]},
        **changes,
    }


def step_row(part: str = "steps", **changes: Any) -> dict[str, Any]:
    timed = {"steps": {"gpucnn": [3e-4], "gpucnn graph": [1e-4, 2e-4, 3e-4], "PyTorch": [6e-4]}, "jax": {"JAX": [4e-4]}}
    case = {"network": "n", "precision": "bf16", "goal": 1e-4, "floor": 5e-5}
    return {**case, "part": part, "seconds": timed.get(part, {}), "failed": {}, **changes}
