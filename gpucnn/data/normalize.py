"""Normalisation: each channel to mean 0 and standard deviation 1, by statistics that a run keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucnn.backend import Array, array_module
from gpucnn.data.base import Source
from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.halves import accumulator
from gpucnn.ops.cast import narrowed

_BLOCK_BYTES = 16 << 20  # of float64, while measuring


@dataclass(frozen=True)
class Normalize:
    """y = (s x - mean) / std for each channel, where s = 1/255 for uint8 images and 1 for float images.

    mean, std: a number for each channel, in units of s x: an MNIST of uint8 has mean 0.1307.
    Raises ArgumentError unless they are finite, equally many, and every std is above 0.

    >>> Normalize((0.5,), (0.5,)).apply(np.array([[[[0], [255]]]], np.uint8), np.float32).ravel()
    array([-1.,  1.], dtype=float32)
    """

    mean: Sequence[float]
    std: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not len(self.mean):
            raise ArgumentError(
                f"normalize: mean has {len(self.mean)} and std has {len(self.std)} numbers: "
                "each needs one for each channel"
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ArgumentError(
                f"normalize: mean (={list(self.mean)}) must be finite, and std (={list(self.std)}) finite and above 0"
            )

    def apply(self, images: Array, dtype: Any) -> Array:
        """Return normalised images, a new contiguous array of `dtype`. images: (N, H, W, C), uint8 or float."""
        return _affine(images, *affine(self, images.dtype, images.shape[-1]), dtype)

    @staticmethod
    def measure(source: Source, indices: Array) -> Normalize:
        """Return the statistics of the images at `indices`, read in blocks; a constant channel gets std 1.

        Mean and sum of squared deviations M of blocks a and b are merged as
        mean = mean_a + d n_b / n,  M = M_a + M_b + d^2 n_a n_b / n,  d = mean_b - mean_a,  n = n_a + n_b,
        in float64, which does not cancel as E[x^2] - E[x]^2 does.

        Source: T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
        variances", 1979.
        """
        if not len(indices):
            raise ArgumentError("normalize: there are no images to measure")
        first = source.read(indices[:1])
        block = max(1, _BLOCK_BYTES // (8 * first.size))
        count, mean, squares = 0, np.zeros(first.shape[-1]), np.zeros(first.shape[-1])
        for start in range(0, len(indices), block):
            n, block_mean, block_squares = _moments(source.read(indices[start : start + block]))
            total, shift = count + n, block_mean - mean
            mean = mean + shift * (n / total)
            squares = squares + block_squares + shift**2 * (count * n / total)
            count = total
        std = np.sqrt(squares / count)  # exactly 0 for a constant channel: sums of 24-bit numbers do not round
        unit = affine(None, first.dtype, 1)[0].item()
        return Normalize((mean * unit).tolist(), np.where(std == 0, 1.0, std * unit).tolist())

    def dump(self) -> dict[str, list[float]]:
        """Return plain data that `load` turns into an equal object."""
        return {"mean": list(self.mean), "std": list(self.std)}

    @staticmethod
    def load(data: Mapping[str, Any]) -> Normalize:
        """Return what `dump` returned as an object."""
        return Normalize([float(value) for value in data["mean"]], [float(value) for value in data["std"]])


def scaled(images: Array, dtype: Any) -> Array:
    """Return images as `dtype`, uint8 ones divided by 255: what a network sees where nothing is normalised."""
    return _affine(images, *affine(None, images.dtype, images.shape[-1]), dtype)


def affine(normalize: Normalize | None, image_dtype: Any, channels: int) -> tuple[Array, Array | None]:
    """Return (scale, shift), float64, of each channel: a network sees images * scale + shift, nothing added where None.

    Raises ShapeError where there are numbers for more or fewer channels.

    >>> affine(Normalize((0.5,), (0.25,)), np.float32, 1)
    (array([4.]), array([-2.]))
    """
    unit = 1 / 255 if image_dtype == np.uint8 else 1.0
    if normalize is None:
        return np.full(channels, unit), None
    if channels != len(normalize.mean):
        raise ShapeError(f"normalize has numbers for {len(normalize.mean)} channels, but the images have {channels}")
    std = np.asarray(normalize.std, np.float64)
    return unit / std, -np.asarray(normalize.mean, np.float64) / std


def _affine(images: Array, scale: Array, shift: Array | None, dtype: Any) -> Array:
    """Return images * scale + shift, as `dtype`, in one pass over each row of pixels; a half is rounded to last.

    The numbers of the channels are repeated along the row: an inner loop over 3 channels would take ten times longer.
    """
    xp = array_module(images)
    width, channels = images.shape[-2:]
    rows = images.reshape(*images.shape[:-2], width * channels)
    repeats = width if channels > 1 else 1  # a single number is already fast
    kind = accumulator(dtype)
    y: Array = xp.multiply(rows, xp.asarray(np.tile(scale, repeats), kind), dtype=kind)
    if shift is not None:
        y += xp.asarray(np.tile(shift, repeats), kind)
    return narrowed(y.reshape(images.shape), dtype)


def _moments(images: Array) -> tuple[int, Array, Array]:
    """Return how many pixels there are, and each channel's mean and sum of squared deviations from it, in float64."""
    channels = images.shape[-1]
    rows = images.reshape(len(images), -1).astype(np.float64)
    count = rows.size // channels
    mean = rows.sum(axis=0).reshape(-1, channels).sum(axis=0) / count
    rows -= np.tile(mean, rows.shape[1] // channels)
    return count, mean, np.einsum("ij,ij->j", rows, rows).reshape(-1, channels).sum(axis=0)
