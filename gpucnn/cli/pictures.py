"""What `gpucnn predict` is given, image files and arrays, as images of the size and channels that a network takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gpucnn.backend import Array, Shape
from gpucnn.data.checks import damaged, reading
from gpucnn.data.npz_reader import NpzFile
from gpucnn.data.pictures import read_picture
from gpucnn.errors import ArgumentError, DataError
from gpucnn.training.images import as_images


def images(path: Path, shape: Shape, dtype: str) -> tuple[Array, str]:
    """Return the images in a file as (N, H, W, C), and what had to be done to them, in words ("" for nothing).

    shape, dtype: of the raw images that the network was trained on. An image file becomes one uint8 image, gray or
    RGB as C says, resized (bilinear, antialiased) where it has another size. The array in a .npy or .npz is one image
    or many, see `as_images`. Raises DataError, which names the file.
    """
    if path.suffix in (".npy", ".npz"):
        try:
            several = as_images(_array(path), shape, dtype)
        except ArgumentError as error:
            raise DataError(f"{path}: {error}") from None
        if not len(several):
            raise DataError(f"{path}: holds no images")
        return several, ""
    H, W, C = shape
    if dtype != "uint8" or C not in (1, 3):
        raise DataError(f"{path}: the network was trained on {dtype} images of {C} channels: give them as a .npy array")
    picture = read_picture(path, C)
    if picture.shape == shape:
        return picture[None], ""
    resized = read_picture(path, C, (H, W), resize=True)
    return resized[None], f"resized from {picture.shape[0]} x {picture.shape[1]} to {H} x {W} (bilinear, antialiased)"


def inverted(x: Array) -> Array:
    """Return images with dark and bright exchanged: 255 - x for uint8, 1 - x for float."""
    y: Array = (255 if x.dtype == np.uint8 else 1) - x
    return y


def _array(path: Path) -> Array:
    if path.suffix == ".npz":
        file = NpzFile(path)
        name = "images" if "images" in file.names else next(iter(file.names), "")
        if name != "images" and len(file.names) != 1:
            raise damaged(path, "arrays", "one array, or one called images", ", ".join(sorted(file.names)) or "none")
        return file.loaded(name)
    with reading(path):
        try:
            array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            what = "not a sound .npy file of numbers, as numpy.save writes them"
            advice = "pickle" in str(error)  # what NumPy says of any file it does not know: to trust it
            raise DataError(f"{path}: {what}" if advice else f"{path}: {what}: {error}") from None
    return array
