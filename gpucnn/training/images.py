"""Images that a user hands to a network: accepted in every form that has one meaning only."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucnn.backend import Array, Shape, to_numpy
from gpucnn.errors import ArgumentError, ShapeError


def as_images(x: Any, shape: Shape, dtype: str) -> Array:
    """Return `x` as raw images (N, H, W, C) like those of the training data.

    x: (N, H, W, C), one image (H, W, C), or the same without C where there is one channel.
    shape: (H, W, C) of an image. dtype: that of the raw training images. Where it is uint8, `x` is integers from 0 to
    255, or floats from 0 to 1 (which uint8 images are scaled to before anything else). Where it is a float type, `x`
    is floats on the scale of the training images.

    Raises ShapeError or ArgumentError for anything else.

    >>> as_images(np.zeros((8, 8), np.uint8), (8, 8, 1), "uint8").shape
    (1, 8, 8, 1)
    """
    try:
        images = to_numpy(x) if hasattr(x, "__cuda_array_interface__") else np.asarray(x)
    except ValueError as error:
        raise ArgumentError(f"images are no array of numbers: {error}") from None
    flat = shape[:2] if shape[2] == 1 else None
    if images.shape in (shape, flat):
        images = images.reshape(1, *shape)
    elif images.ndim == 3 and images.shape[1:] == flat:
        images = images[..., None]
    if images.shape[1:] != shape:
        raise ShapeError(
            f"images have shape {np.shape(x)}, but the network takes (N, {', '.join(map(str, shape))}): N images of "
            f"height {shape[0]}, width {shape[1]} and {shape[2]} channel(s), or one image without the N"
        )
    return _in_range(images, dtype)


def _in_range(images: Array, dtype: str) -> Array:
    """Return the images where their numbers can mean nothing else than what training images of `dtype` mean."""
    kind = images.dtype.kind
    if kind not in "iuf":
        raise ArgumentError(f"images are {images.dtype}: the network takes whole numbers or floats")
    low, high = images.min(initial=0), images.max(initial=0)  # NaN where one is NaN
    if dtype == "uint8":
        if kind in "iu" and 0 <= low <= high <= 255:
            return images.astype(np.uint8)
        if kind == "f" and 0 <= low <= high <= 1:
            return images
        raise ArgumentError(
            f"images are {images.dtype} from {low} to {high}, but the network was trained on uint8 images: "
            "it takes whole numbers from 0 to 255, or floats from 0 to 1"
        )
    if kind != "f" or not np.isfinite([low, high]).all():
        raise ArgumentError(
            f"images are {images.dtype} from {low} to {high}, but the network was trained on float images: "
            "it takes finite floats on the scale of those"
        )
    return images
