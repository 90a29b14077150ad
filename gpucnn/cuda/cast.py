"""Halves made of float32, and float32 of halves, by the kernels in cast.cu: many arrays by one launch."""

from __future__ import annotations

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.cuda.chunks import chunk_table
from gpucnn.cuda.launch import blocks, launch


def store(values: list[Array], stored: list[Array], scale: Array | None = None) -> None:
    """Write values, float32, times scale (1,), into arrays of halves."""
    chunks = chunk_table(values, [False] * len(values))
    launch("store_halves", (len(chunks),), values=values, stored=stored, scale=scale, chunks=chunks)


def widened(x: Array) -> Array:
    """Return halves in float32."""
    y: Array = array_module(x).empty(x.shape, np.float32)
    launch("widen", blocks(x.size), x=x, y=y, count=x.size)
    return y
