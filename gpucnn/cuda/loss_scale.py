"""The scale of a loss, changed on the device by the kernel in loss_scale.cu."""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.cuda.launch import launch


def adapt_loss_scale(scale: Array, counts: Array, found: Array, growth: int, stopped: Array | None = None) -> None:
    """Change the scale (1,) and the counts (2,) after a step in which `found` (1,) elements were not finite."""
    launch("adapt_loss_scale", (1,), scale=scale, counts=counts, found=found, stopped=stopped, growth=growth)
