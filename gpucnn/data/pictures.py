"""Reader of image files (PNG, JPEG, ...), by Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gpucnn.backend import Array
from gpucnn.data.checks import damaged, reading
from gpucnn.errors import DataError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""The files that are taken for images, by the end of their names in small letters."""


def read_picture(path: Path, channels: int, size: tuple[int, int] | None = None, *, resize: bool = False) -> Array:
    """Return an image file as (H, W, channels), uint8. channels: 1 for gray, 3 for red, green, blue.

    A photograph is turned upright as its camera says (EXIF). size: height and width, which the image must have, or to
    which it is resized (bilinear, antialiased). Raises DataError for a file that is no sound image, has another
    size, or more than 8 bits a colour, which would be lost.
    """
    from PIL import Image, ImageOps

    with reading(path):
        try:
            with Image.open(path) as opened:
                if opened.mode.startswith(("I", "F")):
                    raise damaged(path, "pixels", "8 bits a colour", f"mode {opened.mode}", "convert it to 8 bits")
                picture = ImageOps.exif_transpose(opened).convert("RGB" if channels == 3 else "L")
        except (OSError, DataError):
            raise
        except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged files
            raise DataError(f"{path}: not a sound image: {error}") from None
    if size is not None and picture.size != size[::-1]:
        if not resize:
            found = f"{picture.height} x {picture.width}"
            raise damaged(path, "size", f"{size[0]} x {size[1]} pixels", found, "give `size` to resize all images")
        picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(picture.height, picture.width, channels)
