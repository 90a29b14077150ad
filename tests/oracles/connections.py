"""A convolution whose outputs see some channels each: a plain convolution of one channel for every link."""

from __future__ import annotations

import numpy as np

from oracles import conv2d


def links(table):
    """Yield (number of the link, output, input)."""
    ends = [(k, channel) for k, row in enumerate(table) for channel in row]
    for i, (k, channel) in enumerate(ends):
        yield i, k, channel


def forward(x, w, b, table, **window):
    """Return y (N, P, Q, K) for w (links, R, S)."""
    parts = [[] for _ in table]
    for i, k, channel in links(table):
        parts[k].append(conv2d.forward(x[..., [channel]], w[i][None, :, :, None], **window)[..., 0])
    return np.stack([sum(part) for part in parts], axis=-1) + b


def backward(x, w, dy, table, **window):
    """Return dx and dw."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for i, k, channel in links(table):
        one, of_one, kernel = x[..., [channel]], dy[..., [k]], w[i][None, :, :, None]
        dx[..., [channel]] += conv2d.backward_data(of_one, kernel, one.shape, **window)
        dw[i] = conv2d.backward_weight(one, of_one, kernel.shape, **window)[0, :, :, 0]
    return dx, dw
