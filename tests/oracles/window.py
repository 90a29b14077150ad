"""Where a window meets its input: the geometry that convolution and pooling have in common."""

from __future__ import annotations

from collections.abc import Iterator

Sides = tuple[tuple[int, int], tuple[int, int]]


def both(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return n or (height, width) as (height, width)."""
    return (value, value) if isinstance(value, int) else value


def one_side(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the padding before and after that gives ceil(size / stride) outputs, the odd one after."""
    outputs = (size + stride - 1) // stride
    missing = 0
    while outputs_along(size + missing, kernel, stride, dilation) < outputs:
        missing += 1
    return missing // 2, missing - missing // 2


def outputs_along(padded: int, kernel: int, stride: int, dilation: int) -> int:
    """Return how many windows fit, by laying one after the other."""
    count = 0
    while count * stride + (kernel - 1) * dilation < padded:
        count += 1
    return count


def sides(padding: object, size: tuple[int, int], kernel: object, stride: object, dilation: object = 1) -> Sides:
    """Return any form of padding as ((top, bottom), (left, right))."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        (kh, kw), (sh, sw), (dh, dw) = both(kernel), both(stride), both(dilation)
        return one_side(size[0], kh, sh, dh), one_side(size[1], kw, sw, dw)
    height, width = both(padding)
    return both(height), both(width)


def outputs(
    size: tuple[int, int], kernel: object, stride: object, padding: object, dilation: object
) -> tuple[int, int]:
    """Return (P, Q), the number of windows in each direction."""
    (top, bottom), (left, right) = sides(padding, size, kernel, stride, dilation)
    (kh, kw), (sh, sw), (dh, dw) = both(kernel), both(stride), both(dilation)
    return outputs_along(top + size[0] + bottom, kh, sh, dh), outputs_along(left + size[1] + right, kw, sw, dw)


def meetings(
    size: tuple[int, int], kernel: object, stride: object, padding: object, dilation: object = 1
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield (p, q, r, s, h, w): tap (r, s) of the window of output (p, q) lies on input (h, w), padding left out."""
    (top, _), (left, _) = sides(padding, size, kernel, stride, dilation)
    (kh, kw), (sh, sw), (dh, dw) = both(kernel), both(stride), both(dilation)
    P, Q = outputs(size, kernel, stride, padding, dilation)
    for p in range(P):
        for q in range(Q):
            for r in range(kh):
                for s in range(kw):
                    h, w = p * sh + r * dh - top, q * sw + s * dw - left
                    if 0 <= h < size[0] and 0 <= w < size[1]:
                        yield p, q, r, s, h, w
