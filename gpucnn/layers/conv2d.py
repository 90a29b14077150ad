"""The convolution layer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

from gpucnn import ops
from gpucnn.arguments import NonNegativeInt, Padding, Pair, PositiveInt
from gpucnn.backend import Array, Shape
from gpucnn.errors import ArgumentError
from gpucnn.layers.base import Builder, Layer
from gpucnn.layers.batch_norm import BatchNorm
from gpucnn.layers.behind import Kept, behind
from gpucnn.layers.connections import Connections
from gpucnn.layers.initialisers import Init
from gpucnn.layers.shapes import require_image, shapes_that_fit
from gpucnn.ops.activation import Function
from gpucnn.ops.batch_norm_max_pool2d import Pooling
from gpucnn.ops.window import pair
from gpucnn.random import Step


class Conv2d(Layer, name="conv2d"):
    """Convolution: images (H, W, C) to (P, Q, out_channels); the maths is in `gpucnn.ops.conv2d`.

    out_channels: kernels, K. kernel_size, stride, dilation: n or [height, width]. padding: n, [height, width],
    [[top, bottom], [left, right]], `same` or `valid`. groups: into how many the channels are cut; as many as there
    are channels makes it depthwise. bias: whether b is added; a batch_norm right after makes it useless. init: how w
    (K, R, S, C/groups) is drawn. connections: for each output the list of the input channels that it sees, or `lecun`,
    the table of LeNet-5 (6 channels to 16); w is (links, R, S) then, and where there is no link there is no weight.

    Raises ArgumentError for a table that does not fit out_channels or groups, and for init dirac with either.
    """

    ending = "conv2d_activation.conv2d_activation"

    def __init__(
        self,
        out_channels: PositiveInt,
        kernel_size: Pair = 3,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: PositiveInt = 1,
        bias: bool = True,
        init: Init = "auto",
        connections: Literal["lecun"] | list[list[NonNegativeInt]] | None = None,
    ) -> None:
        super().__init__()
        if connections is not None and groups > 1:
            raise ArgumentError(f"connections and groups (={groups}) both say which channels an output sees: give one")
        if init == "dirac" and (groups > 1 or connections is not None):
            raise ArgumentError("init (=dirac) hands on inputs of one group: give neither groups nor connections")
        self.out_channels, self.kernel_size, self.bias, self.init = out_channels, kernel_size, bias, init
        self.groups = groups
        self.connections = None if connections is None else Connections(connections, out_channels)
        self._window: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def output_shape(self, shape: Shape) -> Shape:
        """Return (P, Q, K)."""
        require_image(self.name, shape)
        if self.connections:
            self.connections.check(shape[-1])
        with shapes_that_fit():
            return ops.conv2d_output_shape((1, *shape), self._weight_shape(shape), **self._window)[1:]

    def build(self, shape: Shape, builder: Builder) -> None:
        """Make w (K, R, S, C/groups), or (links, R, S) with connections, and b (K,) of zeros."""
        super().build(shape, builder)
        k, r, s, depth = self._weight_shape(shape)
        if self.connections:
            self.connections.place(builder.device, depth)
            fan_in, fan_out = (r * s * fan for fan in self.connections.fans())
            self.params["w"] = builder.weight("w", (self.connections.links, r, s), fan_in, fan_out, self.init)
        else:
            self.params["w"] = builder.weight("w", (k, r, s, depth), r * s * depth, r * s * k // self.groups, self.init)
        if self.bias:
            self.params["b"] = builder.bias((k,))

    def forward(
        self,
        x: Array,
        *,
        train: Step | None = None,
        function: Function | None = None,
        norm: BatchNorm | None = None,
        z: Array | None = None,
        pooling: Pooling | None = None,
    ) -> tuple[Array, Any]:
        """Return y, or f(y); backward needs x, and what f keeps.

        norm: the batch_norm after this layer. Given it, return what it makes of y, with z and f or, in training, with
        pooling, and what both save.
        """
        b = self.params["b"].operand if self.bias else None
        given = x, self._kernels(), b
        if norm is not None and train is not None:
            of_batch, running = norm.of_batch()
            if pooling:
                together: Any = ops.conv2d_batch_norm_max_pool2d_train
                y, saved = together(*given, of_batch, pooling, running, **self._window)
            else:
                y, *_, saved = ops.conv2d_batch_norm_train(*given, of_batch, function, z, running, **self._window)
            return y, (x, saved)
        if norm is not None:
            return ops.conv2d_batch_norm_eval(*given, norm.given(), function, z, **self._window), None
        if function is None:
            return ops.conv2d(*given, **self._window), x
        y, kept = ops.conv2d_activation(*given, function, **self._window)
        return y, Kept(x, function, kept)

    def backward(self, dy: Array, saved: Any, z: Array | None = None) -> Array:
        """Return dx, or dx + z: with stride 1, dx is the full correlation of dy with the rotated kernels."""
        dy, saved = behind(dy, saved, self.params.get("b"))
        kernels = self._kernels()
        with self._summed_later():
            both = ops.conv2d_gradients(saved.x, dy, kernels, z, **self._window)
        if both:
            self._accumulate(both[1], dy, saved.db)
            return both[0]
        self.backward_params(dy, saved)
        return ops.conv2d_backward_data(dy, kernels, saved.x.shape, z, **self._window)

    def backward_params(self, dy: Array, saved: Any) -> None:
        """Add dw, the correlation of x and dy, and db, the sum of dy."""
        dy, (x, db) = behind(dy, saved, self.params.get("b"))
        with self._summed_later():
            dw = ops.conv2d_backward_weight(x, dy, self._weight_shape(x.shape), **self._window)
        self._accumulate(dw, dy, db)

    def _accumulate(self, dw: Array, dy: Array, db: Array | None) -> None:
        self.params["w"].accumulate(self.connections.of_links(dw) if self.connections else dw)
        if self.bias:
            with self.params["b"].summed_later():
                db = ops.conv2d_backward_bias(dy) if db is None else db
            self.params["b"].accumulate(db)

    def _summed_later(self) -> AbstractContextManager[None]:
        """While entered, the sums of dw may wait, unless `of_links` looks at them."""
        return nullcontext() if self.connections else self.params["w"].summed_later()

    def flops(self, shape: Shape) -> int:
        """Return 2 P Q K R S C/groups: a multiplication and an addition for every weight at every position."""
        p, q, _ = self.output_shape(shape)
        k, r, s, depth = self._weight_shape(shape)
        return 2 * p * q * r * s * (self.connections.links if self.connections else k * depth)

    def _kernels(self) -> Array:
        """Return the kernels (K, R, S, C/groups)."""
        w = self.params["w"].operand
        return self.connections.kernels(w) if self.connections else w

    def _weight_shape(self, shape: Shape) -> Shape:
        return self.out_channels, *pair("kernel_size", self.kernel_size), shape[-1] // self.groups
