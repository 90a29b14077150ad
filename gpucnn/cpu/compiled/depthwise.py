"""Depthwise convolution with one kernel a channel: a tap is a product of long rows, with no copy but of the padding.

Some rows of an image (H, W * C) at a time are laid out with their padding as `planes` (rows, stride, columns * C):
plane t of a row holds its columns t, t + stride, t + 2 stride and so on, so that what a tap meets in a row of outputs
is one run of numbers. taps (R, S, length) are kernels repeated for several columns, a part of the first-level cache.
"""

from __future__ import annotations

import numpy as np

from gpucnn.cpu.compiled.jit import compiled


@compiled
def forward(x, taps, bias, geometry, channels, planes, y):  # type: ignore[no-untyped-def]
    """Write the correlation of images x (n, H, W * C) with taps to y (n, P, Q * C), plus bias (length,)."""
    sh, sw, dh, dw, top, left = geometry
    (kernel, across, length), width = taps.shape, y.shape[2]
    band = (planes.shape[0] - (kernel - 1) * dh - 1) // sh + 1
    for n in range(x.shape[0]):
        for p in range(y.shape[1]):
            if p % band == 0:
                _place(x[n], p * sh - top, channels, sw, left, planes)
            row = p % band * sh
            for start in range(0, width, length):
                out = y[n, p, start : min(width, start + length)]
                if kernel == 3 and across == 3:
                    _nine(planes[row], planes[row + dh], planes[row + 2 * dh], start, sw, dw, channels, taps, bias, out)
                    continue
                for z in range(out.size):
                    out[z] = bias[z]
                for r in range(kernel):
                    for s in range(across):
                        seen = planes[row + r * dh, s * dw % sw, start + s * dw // sw * channels :]
                        tap = taps[r, s]
                        for z in range(out.size):
                            out[z] += tap[z] * seen[z]


@compiled
def _nine(a, b, c, start, sw, dw, channels, taps, bias, out):  # type: ignore[no-untyped-def]
    """Write the sum of the products of 3x3 taps with three rows of planes, all nine at once: `out` is never read."""
    one, two = start + dw // sw * channels, start + 2 * dw // sw * channels
    a0, a1, a2 = a[0, start:], a[dw % sw, one:], a[2 * dw % sw, two:]
    b0, b1, b2 = b[0, start:], b[dw % sw, one:], b[2 * dw % sw, two:]
    c0, c1, c2 = c[0, start:], c[dw % sw, one:], c[2 * dw % sw, two:]
    t0, t1, t2 = taps[0, 0], taps[0, 1], taps[0, 2]
    u0, u1, u2 = taps[1, 0], taps[1, 1], taps[1, 2]
    v0, v1, v2 = taps[2, 0], taps[2, 1], taps[2, 2]
    for z in range(out.size):
        top = t0[z] * a0[z] + t1[z] * a1[z] + t2[z] * a2[z]
        middle = u0[z] * b0[z] + u1[z] * b1[z] + u2[z] * b2[z]
        out[z] = bias[z] + top + middle + v0[z] * c0[z] + v1[z] * c1[z] + v2[z] * c2[z]


@compiled
def backward_weight(x, dy, geometry, channels, planes, total):  # type: ignore[no-untyped-def]
    """Add the correlation of images x (n, H, W * C) with dy (n, P, Q * C), in long rows, to total (R, S, length)."""
    sh, sw, dh, dw, top, left = geometry
    (kernel, across, length), width = total.shape, dy.shape[2]
    band = (planes.shape[0] - (kernel - 1) * dh - 1) // sh + 1
    for n in range(x.shape[0]):
        for p in range(dy.shape[1]):
            if p % band == 0:
                _place(x[n], p * sh - top, channels, sw, left, planes)
            row = p % band * sh
            for start in range(0, width, length):
                gradients = dy[n, p, start : min(width, start + length)]
                for r in range(kernel):
                    for s in range(across):
                        seen = planes[row + r * dh, s * dw % sw, start + s * dw // sw * channels :]
                        found = total[r, s]
                        for z in range(gradients.size):
                            found[z] += gradients[z] * seen[z]


@compiled
def _place(image, first, channels, stride, left, planes):  # type: ignore[no-untyped-def]
    """Write the rows of an image from `first` on, `left` columns of zeros before each, to planes."""
    height, width = image.shape[0], image.shape[1] // channels
    columns = planes.shape[2] // channels
    for i in range(planes.shape[0]):
        h = first + i
        for t in range(stride):
            plane = planes[i, t]
            if h < 0 or h >= height:
                plane[:] = np.float32(0)
                continue
            begin = min(columns, max(0, -((t - left) // stride)))
            end = min(columns, max(begin, (width - 1 + left - t) // stride + 1))
            plane[: begin * channels] = np.float32(0)
            plane[end * channels :] = np.float32(0)
            if stride == 1:
                plane[begin * channels : end * channels] = image[h, (begin - left) * channels : (end - left) * channels]
                continue
            for q in range(begin, end):
                of = (q * stride + t - left) * channels
                seen, to = image[h, of : of + channels], plane[q * channels : (q + 1) * channels]
                for z in range(channels):
                    to[z] = seen[z]
