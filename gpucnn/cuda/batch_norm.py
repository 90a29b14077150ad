"""Batch normalisation by the kernels in batch_norm.cu. Arguments and results are those of `gpucnn.ops.batch_norm`."""

from __future__ import annotations

from typing import Any

from gpucnn.backend import Array, array_module
from gpucnn.cuda.launch import blocks, launch
from gpucnn.cuda.sums import new_parts, parts_of, strips


def batch_norm_train(
    x: Array, gamma: Array, beta: Array, eps: float
) -> tuple[Array, Array, Array, tuple[Array, Array, Array, Array]]:
    """Return y, the batch's mean and variance, and (x, mean, 1 / sqrt(var + eps), gamma)."""
    xp, (rows, channels) = array_module(x), _rows(x)
    pieces, sizes = parts_of(rows, channels), {"rows": rows, "C": channels}
    parts: dict[str, Any] = {name: new_parts(x, pieces, channels) for name in ("means", "squares")}
    launch("batch_norm_part_statistics", strips(channels, pieces), x=x, **parts, **sizes)
    merged: dict[str, Any] = {name: xp.empty(channels, gamma.dtype) for name in ("mean", "var", "inverse")}
    launch("batch_norm_merge_statistics", blocks(channels), **parts, **merged, pieces=pieces, eps=eps, **sizes)
    mean, var, inverse = merged.values()
    y = xp.empty(x.shape, x.dtype)
    arrays: dict[str, Any] = {"gamma": gamma, "beta": beta, "mean": mean, "inverse": inverse}
    launch("batch_norm_train", blocks(x.size), x=x, y=y, count=x.size, C=channels, **arrays)
    return y, mean, var, (x, mean, inverse, gamma)


def batch_norm_eval(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> Array:
    """Return y for statistics that are given."""
    y: Array = array_module(x).empty(x.shape, x.dtype)
    arrays: dict[str, Any] = {"gamma": gamma, "beta": beta, "mean": mean, "var": var, "y": y}
    launch("batch_norm_eval", blocks(x.size), x=x, count=x.size, C=x.shape[-1], eps=eps, **arrays)
    return y


def batch_norm_backward(dy: Array, saved: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return dx, dgamma and dbeta."""
    (x, mean, inverse, gamma), xp, (rows, channels) = saved, array_module(dy), _rows(dy)
    pieces, sizes = parts_of(rows, channels), {"rows": rows, "C": channels}
    parts: dict[str, Any] = {name: new_parts(dy, pieces, channels) for name in ("sums", "products")}
    launch("batch_norm_part_sums", strips(channels, pieces), dy=dy, x=x, mean=mean, **parts, **sizes)
    grads: dict[str, Any] = {name: xp.empty(channels, gamma.dtype) for name in ("dgamma", "dbeta")}
    launch("batch_norm_add_sums", blocks(channels), inverse=inverse, C=channels, pieces=pieces, **parts, **grads)
    dx = xp.empty(dy.shape, dy.dtype)
    arrays: dict[str, Any] = {"x": x, "mean": mean, "inverse": inverse, "gamma": gamma, "dx": dx}
    launch("batch_norm_backward", blocks(dy.size), dy=dy, **arrays, **grads, **sizes)
    return dx, grads["dgamma"], grads["dbeta"]


def _rows(x: Array) -> tuple[int, int]:
    return x.size // x.shape[-1], x.shape[-1]
