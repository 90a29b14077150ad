"""The same network as textbooks write it in NumPy: one image, one map and one channel at a time.

A convolution is a loop around `scipy.signal.correlate2d` (convolve2d with the kernel turned), its gradients are two
more such loops, over padded images and the kernel rotated by half a turn. Source of the form: J. Bouvrie, "Notes on
Convolutional Neural Networks", 2006. Only these loops are slow on purpose: pooling, relu and the dense layers, which
textbooks write as loops too, are whole-array operations here. Images are (N, C, H, W), kernels (K, C, R, S).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import correlate2d

from benchmarks.peers.base import LEARNING_RATE, Batch
from gpucnn.backend import Array
from gpucnn.errors import ArgumentError
from gpucnn.layers.base import Layer
from gpucnn.model import Model
from gpucnn.ops.window import Window


class Convolution:
    """Stride 1, padded by as much on all sides."""

    def __init__(self, layer: Layer) -> None:
        a: Any = layer.spec.arguments
        window = Window.over(layer.input_shape[:2], a.kernel_size, a.stride, a.padding, a.dilation)
        (self.pad,) = {side for sides in window.pads for side in sides}
        self.w, self.b = layer.params["w"].value.transpose(0, 3, 1, 2).copy(), layer.params["b"].value.copy()

    def forward(self, x: Array) -> Array:
        """Return y[n,k] = b[k] + sum over c of x[n,c] correlated with w[k,c]."""
        self.x = np.pad(x, ((0, 0), (0, 0), (self.pad, self.pad), (self.pad, self.pad)))
        (N, C, H, W), (K, _, R, S) = self.x.shape, self.w.shape
        y = np.zeros((N, K, H - R + 1, W - S + 1), x.dtype)
        for n in range(N):
            for k in range(K):
                for c in range(C):
                    y[n, k] += correlate2d(self.x[n, c], self.w[k, c], "valid")
                y[n, k] += self.b[k]
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx; keep dw and db."""
        (N, K), (_, C, R, S) = dy.shape[:2], self.w.shape
        dx, self.dw, self.db = np.zeros_like(self.x), np.zeros_like(self.w), np.zeros_like(self.b)
        for n in range(N):
            for k in range(K):
                padded = np.pad(dy[n, k], ((R - 1, R - 1), (S - 1, S - 1)))
                for c in range(C):
                    dx[n, c] += correlate2d(padded, np.rot90(self.w[k, c], 2), "valid")
                    self.dw[k, c] += correlate2d(self.x[n, c], dy[n, k], "valid")
                self.db[k] += dy[n, k].sum()
        return dx[:, :, self.pad : dx.shape[2] - self.pad, self.pad : dx.shape[3] - self.pad]

    def gradients(self) -> dict[str, Array]:
        """Return them in gpucnn's order of dimensions."""
        return {"w": self.dw.transpose(0, 2, 3, 1), "b": self.db}


class Dense:
    """y = x w^T + b. order: the features' in gpucnn's rows, by those of (C, H, W) images; None where they were rows."""

    def __init__(self, layer: Layer, order: Array | None) -> None:
        self.order = np.arange(layer.input_shape[0]) if order is None else order
        self.w, self.b = layer.params["w"].value[:, self.order], layer.params["b"].value.copy()

    def forward(self, x: Array) -> Array:
        """Return y."""
        self.x = x
        return x @ self.w.T + self.b

    def backward(self, dy: Array) -> Array:
        """Return dx; keep dw and db."""
        self.dw, self.db = dy.T @ self.x, dy.sum(axis=0)
        dx: Array = dy @ self.w
        return dx

    def gradients(self) -> dict[str, Array]:
        """Return them in gpucnn's order of features."""
        dw = np.empty_like(self.dw)
        dw[:, self.order] = self.dw
        return {"w": dw, "b": self.db}


class Relu:
    """max(x, 0)."""

    def forward(self, x: Array) -> Array:
        """Return y."""
        self.y = np.maximum(x, 0)
        return self.y

    def backward(self, dy: Array) -> Array:
        """Return dx."""
        return dy * (self.y > 0)


class MaxPool:
    """The maximum of windows of 2x2 that touch."""

    def forward(self, x: Array) -> Array:
        """Return y."""
        self.x = x
        N, C, H, W = x.shape
        self.y: Array = x.reshape(N, C, H // 2, 2, W // 2, 2).max(axis=(3, 5))
        return self.y

    def backward(self, dy: Array) -> Array:
        """Return dx; equal maxima, which relu leaves where it makes zeros, all get it: relu lets none of it through."""
        return np.kron(dy, np.ones((2, 2), dy.dtype)) * (self.x == np.kron(self.y, np.ones((2, 2), dy.dtype)))


class Flatten:
    """Images to rows."""

    def forward(self, x: Array) -> Array:
        """Return y."""
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: Array) -> Array:
        """Return dx."""
        return dy.reshape(self.shape)


class Textbook:
    """A network of `model`, with copies of its weights, trained with cross-entropy by plain gradient descent."""

    name = "textbook NumPy"

    def __init__(self, model: Model, batch: Batch) -> None:
        self.x, self.labels = np.ascontiguousarray(batch.x.transpose(0, 3, 1, 2)), batch.labels
        self.layers: dict[str, Any] = {}
        order: Array | None = None
        for layer in model.layers.layers:
            kind: Any = {"relu": Relu, "max_pool2d": MaxPool, "flatten": Flatten}.get(layer.name)
            if layer.name == "conv2d":
                self.layers[layer.path] = Convolution(layer)
            elif layer.name == "dense":
                self.layers[layer.path], order = Dense(layer, order), None
            elif kind:
                self.layers[layer.path] = kind()
            else:
                raise ArgumentError(f"layer {layer.path}: there is no {layer.name} in the textbook")
            if layer.name == "flatten":
                size = int(np.prod(layer.input_shape))
                order = np.arange(size).reshape(layer.input_shape).transpose(2, 0, 1).reshape(-1)

    def scores(self) -> Array:
        """Return the scores of the batch."""
        x = self.x
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def step(self) -> None:
        """Train on the batch."""
        scores = self.scores()
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        dy = shares / shares.sum(axis=1, keepdims=True)
        dy[np.arange(len(dy)), self.labels] -= 1
        dy /= dy.dtype.type(len(dy))
        for layer in reversed(self.layers.values()):
            dy = layer.backward(dy)
        for layer in self.layers.values():
            if hasattr(layer, "w"):
                layer.w -= layer.w.dtype.type(LEARNING_RATE) * layer.dw
                layer.b -= layer.b.dtype.type(LEARNING_RATE) * layer.db

    def gradients(self) -> dict[str, Array]:
        """Return the last step's, by gpucnn's names."""
        return {
            f"{path}.{key}": gradient
            for path, layer in self.layers.items()
            if hasattr(layer, "gradients")
            for key, gradient in layer.gradients().items()
        }
