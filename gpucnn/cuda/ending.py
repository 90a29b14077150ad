"""What a forward pass may end with besides a bias: y = f(v scale + shift + z), as in epilogue.cuh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpucnn.backend import Array
from gpucnn.cuda.activation import IDENTITY, Named, end_of
from gpucnn.cuda.launch import blocks, launch

NOTHING: dict[str, Any] = {"z": None, "scale": None, "shift": None, **IDENTITY}


def ending(
    function: Named | None, z: Array | None = None, scale: Array | None = None, shift: Array | None = None
) -> dict[str, Any]:
    """Return what kernels take for an end. scale, shift: (K,), in the dtype that sums are carried in; z: as y."""
    return {"z": z, "scale": scale, "shift": shift, **end_of(function)}


def finish(y: Any, end: Mapping[str, Any]) -> None:
    """Change y (..., K), which was computed without this end, in place."""
    launch("ended", blocks(y.size), y=y, count=y.size, C=y.shape[-1], **end)
