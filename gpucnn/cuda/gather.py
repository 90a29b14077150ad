"""Batches gathered from a data set on the device by the kernels in gather.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.dispatch import NotApplicable

_KERNELS = {"uint8": "gather_uint8", "float32": "gather_float"}


def gather(
    images: Array, labels: Array, indices: Array, frames: Array, scale: Array, shift: Array | None,
    batch: Array | None, size: int | None, dtype: Any,
) -> tuple[Array, Array]:  # fmt: skip
    """Return the batch x, of this dtype, and its labels."""
    xp, (height, width, channels) = array_module(images), images.shape[1:]
    if images.dtype.name not in _KERNELS:
        raise NotApplicable(f"images of uint8 or float32 only, not {images.dtype}")
    x = xp.empty((len(indices) if size is None else size, height, width, channels), dtype)
    own_labels = xp.empty(len(x), np.int64)
    launch(
        _KERNELS[images.dtype.name], blocks(x.size), images=images, labels=labels, indices=indices, frames=frames,
        scale=scale, shift=shift, x=x, own_labels=own_labels, count=x.size, H=height, W=width, C=channels,
        changes=frames.shape[1], batch=batch,
    )  # fmt: skip
    return x, own_labels
