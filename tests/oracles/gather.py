"""Frames applied in plain loops, one after the other, from the first image to the last: no pixel is traced back."""

from __future__ import annotations

import numpy as np

CONSTANT, EDGE, REFLECT = range(3)


def framed(image: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Return what a frame makes of one image (H, W, C)."""
    top, left, mirrored, border, fill, from_row, to_row, from_column, to_column = map(int, frame)
    height, width = image.shape[:2]
    seen = image[:, ::-1] if mirrored else image
    shift = -left if mirrored else left  # a mirrored image moves the other way, seen through the mirror
    result = np.empty_like(image)
    for i in range(height):
        for j in range(width):
            if from_row <= i < to_row and from_column <= j < to_column:
                result[i, j] = fill
            else:
                result[i, j] = pixel(seen, i + top, j + shift, border, fill)
    return result


def pixel(image: np.ndarray, row: int, column: int, border: int, fill: int) -> np.ndarray:
    """Return the pixel at a place that may lie beyond an image's borders."""
    places = []
    for at, size in ((row, image.shape[0]), (column, image.shape[1])):
        if 0 <= at < size:
            places.append(at)
        elif border == CONSTANT:
            return np.full(image.shape[2], fill, image.dtype)
        elif border == EDGE:
            places.append(0 if at < 0 else size - 1)
        else:
            forth_and_back = [*range(size), *range(size - 2, 0, -1)] or [0]
            places.append(forth_and_back[at % len(forth_and_back)])
    return image[places[0], places[1]]


def gather(images, labels, indices, frames, scale, shift):
    """Return the batch and its labels, rounded after the product and after the sum."""
    x = np.empty((len(indices), *images.shape[1:]), scale.dtype)
    for n, index in enumerate(indices):
        image = images[index]
        for frame in frames[n]:
            image = framed(image, frame)
        for c in range(images.shape[3]):
            for i in range(images.shape[1]):
                for j in range(images.shape[2]):
                    product = scale.dtype.type(image[i, j, c]) * scale[c]
                    x[n, i, j, c] = product if shift is None else product + shift[c]
    return x, np.array([labels[index] for index in indices], np.int64)
