"""A call of every operation, and one check of it for every device, implementation, dtype and layout of the arrays.

The expected result is the reference's on NumPy in float64, which tests of its own hold against oracles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from checks.arrays import assert_near
from checks.windows import Conv, conv
from gpucnn import dispatch, ops
from gpucnn.backend import Device, array_module, to_numpy
from gpucnn.frames import Draw
from gpucnn.ops import activation
from gpucnn.ops.activation import RELU, Function
from gpucnn.ops.batch_norm_max_pool2d import Pooling
from gpucnn.random import Stream

LAYOUTS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[Any], Any]]] = {
    "C order": (lambda x: x, lambda x: x),
    "transposed": (lambda x: x.swapaxes(0, -1), lambda x: x.swapaxes(0, -1)),
    "backwards": (lambda x: x[::-1], lambda x: x[::-1]),
    "every second element": (lambda x: np.repeat(x, 2, axis=-1), lambda x: x[..., ::2]),
    "inside a larger array": (lambda x: np.pad(x, 1, mode="edge"), lambda x: x[(slice(1, -1),) * x.ndim]),
}
"""Ways to hold the same values on any device: what is copied there, and the view of it that is handed in."""


@dataclass(frozen=True)
class Call:
    """A call of the operation `name`.

    arguments: float64 arrays become arrays of the dtype that is tested. terms: how many roundings may add up in an
    element. linear: an element is a sum of products of elements of the arrays; else its size is taken as 1 plus the
    largest. changed: places of arguments that the call changes; these are its results then.
    """

    name: str
    label: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    terms: int = 32
    linear: bool = False
    changed: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.label}"


def check(call: Call, device: Device, impl: dispatch.Impl, dtype: str, layout: str = "C order") -> None:
    """Make a call on a device, twice: fail unless it is right, repeats to the last bit and leaves its inputs alone."""
    given = [
        np.copy(a) if isinstance(a, np.ndarray) else a for a in mapped(call.arguments, lambda a: rounded(a, dtype))
    ]
    first, second = (outcome(call, given, device, impl, layout) for _ in range(2))
    expected = results(call, mapped(given, lambda a: rounded(a, "float64")), "reference")
    sizes = expected
    if call.linear:
        sizes = results(call, mapped(given, lambda a: np.abs(rounded(a, "float64"))), "reference")
    assert len(first) == len(second) == len(expected)
    for got, again, wanted, size in zip(first, second, expected, sizes, strict=True):
        np.testing.assert_array_equal(got, again, strict=True, err_msg="another result the second time")
        if wanted.dtype.kind == "f":
            scale = size if call.linear else 1 + np.abs(wanted).max(initial=0)
            assert_near(got, wanted, dtype, scale, call.terms)
        else:
            np.testing.assert_array_equal(got, wanted)


def outcome(call: Call, given: list[Any], device: Device, impl: dispatch.Impl, layout: str) -> list[np.ndarray]:
    """Return the results of a call on a device, on the host, once they are known to be on the device."""
    taken = {i for i in call.changed if given[i] is not None}
    handed = [
        mapped(a, lambda x, i=i: placed(x, device, "C order" if i in taken else layout)) for i, a in enumerate(given)
    ]
    found = results(call, handed, impl)
    assert {array_module(array).__name__ for array in found} <= {device.xp.__name__}
    for i, (before, after) in enumerate(zip(given, handed, strict=True)):
        for one, other in zip(arrays(before), arrays(after), strict=True):
            assert i in taken or np.array_equal(one, to_numpy(other), equal_nan=True), f"argument {i} was changed"
    return [to_numpy(array) for array in found]


def results(call: Call, given: Any, impl: dispatch.Impl) -> list[Any]:
    """Return the arrays that a call gives."""
    with dispatch.using(impl):
        returned = getattr(ops, call.name)(*given, **call.options)
    return list(arrays([given[i] for i in call.changed] if call.changed else returned))


def placed(x: np.ndarray, device: Device, layout: str) -> Any:
    """Return an array on a device, held there in a layout."""
    prepare, view = LAYOUTS[layout if x.ndim and x.size else "C order"]
    return view(device.asarray(np.array(prepare(x), order="C")))


def rounded(x: np.ndarray, dtype: str) -> np.ndarray:
    """Return floats in a dtype; integers as they are."""
    return x.astype(dtype) if x.dtype.kind == "f" else x


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return a value with each of its arrays replaced by what a function makes of it."""
    if isinstance(value, (tuple, list)):
        inner = [mapped(item, function) for item in value]
        return type(value)(*inner) if hasattr(value, "_fields") else type(value)(inner)
    return function(value) if is_array(value) else value


def arrays(value: Any) -> Iterator[Any]:
    """Yield the arrays of a value."""
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from arrays(item)
    elif is_array(value):
        yield value


def is_array(value: Any) -> bool:
    """Return whether a value is an array of any module."""
    return hasattr(value, "dtype") and hasattr(value, "shape")


CONVS = {
    "one of everything": conv((1, 1, 1, 1), (1, 1, 1, 1)),
    "3x3 same": conv((2, 7, 5, 3), (5, 3, 3, 3), padding="same"),
    "1x1": conv((3, 5, 4, 7), (11, 1, 1, 7)),
    "stride 2": conv((2, 9, 7, 3), (4, 3, 3, 3), stride=2, padding=1),
    "stride 3 by 2, even kernel": conv((1, 11, 10, 2), (3, 4, 2, 2), stride=(3, 2), padding=(2, 1)),
    "stride beyond the kernel": conv((2, 9, 8, 2), (3, 1, 2, 2), stride=(4, 3)),
    "four paddings": conv((1, 5, 4, 2), (3, 3, 2, 2), padding=((2, 0), (1, 3))),
    "dilation and stride": conv((1, 13, 12, 2), (3, 4, 3, 2), stride=(4, 2), dilation=(2, 3), padding=3),
    "groups": conv((2, 5, 6, 6), (9, 3, 2, 2), groups=3, stride=(1, 2), padding=1),
    "depthwise": conv((2, 7, 6, 5), (5, 3, 3, 1), groups=5, padding=1),
    "depthwise times 3, stride 2": conv((1, 7, 9, 3), (9, 3, 2, 1), groups=3, stride=2, padding=1),
    "no images": conv((0, 5, 5, 2), (3, 3, 3, 2)),
}
"""Odd, prime and size-1 shapes."""

LARGE = {
    "prime sizes": conv((7, 31, 29, 37), (41, 3, 3, 37), padding=1),
    "a long sum": conv((64, 28, 28, 3), (5, 5, 5, 3), padding="same"),
    "many channels": conv((3, 7, 7, 257), (131, 3, 3, 257), padding=1, stride=2),
    "depthwise, prime sizes": conv((8, 57, 55, 67), (67, 3, 3, 1), groups=67, stride=2, padding=1),
    "1x1, wide": conv((16, 14, 14, 256), (512, 1, 1, 256)),
}
"""More than one block, tile and warp in every direction, none of them full: for a GPU; a CPU takes long for them."""


def conv_calls(cases: dict[str, Conv]) -> Iterator[Call]:
    """Yield the passes of convolutions."""
    for label, case in cases.items():
        y_shape = ops.conv2d_output_shape(case.x_shape, case.w_shape, **case.arguments)
        x, w, b, dy, z = numbers(case.x_shape, case.w_shape, case.w_shape[:1], y_shape, case.x_shape)
        forward, data = int(np.prod(case.w_shape[1:])) + 2, int(np.prod(case.w_shape[:3])) + 2
        weight, linear = int(np.prod(y_shape[:3])) + 2, {"linear": True}
        yield Call("conv2d", label, (x, w, b), case.arguments, forward, **linear)
        norm = (b, b, b, b * b + 0.5, 1e-3)
        for end, function in ("", None), (", relu", RELU), (", tanh", Function("tanh")):
            options = {**case.arguments, "function": function}
            yield Call("conv2d_batch_norm_eval", f"{label}{end}", (x, w, b, norm), options, 4 * forward + 128)
        if np.prod(y_shape[:3]) > 1:
            first = (x, w, b, (b, b, 1e-3), RELU, dy)
            terms = 16 * (forward + weight + 64)
            yield Call("conv2d_batch_norm_train", label, first, case.arguments, terms)
            first = (x, w, b, (b, b, 1e-3), Pooling((1, min(2, y_shape[2])), relu=True))
            yield Call("conv2d_batch_norm_max_pool2d_train", label, first, case.arguments, terms)
        yield Call("conv2d_activation", label, (x, w, b, RELU), case.arguments, 4 * forward + 128)
        yield Call("conv2d_backward_data", label, (dy, w, case.x_shape), case.arguments, data, **linear)
        yield Call("conv2d_backward_data", f"{label}, added", (dy, w, case.x_shape, z), case.arguments, data, **linear)
        yield Call("conv2d_backward_weight", label, (x, dy, case.w_shape), case.arguments, weight, **linear)
        yield Call("conv2d_backward_bias", label, (dy,), {}, weight, **linear)


POOLS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "2x2": ((2, 8, 6, 3), 2, {}),
    "an odd rest": ((3, 7, 9, 5), 2, {}),
    "overlapping": ((2, 9, 7, 3), 3, {"stride": 2, "padding": 1}),
    "every input in nine": ((1, 6, 7, 2), 3, {"stride": 1, "padding": "same"}),
    "gaps": ((1, 11, 8, 2), (2, 1), {"stride": (3, 4)}),
    "taps beyond a byte": ((1, 18, 17, 1), 16, {"stride": 1}),
}


def pool_calls() -> Iterator[Call]:
    """Yield the pooling operations."""
    for label, (shape, kernel, options) in POOLS.items():
        dy_shape = ops.pool2d_output_shape(shape, kernel, **options)
        x, dy = numbers(shape, dy_shape)
        tied = np.random.default_rng(3).integers(-2, 3, shape).astype(np.float64)
        index = ops.max_pool2d(tied, kernel, **options)[1]
        yield Call("max_pool2d", label, (tied, kernel), options)
        yield Call("max_pool2d", f"{label}, relu", (tied, kernel), {**options, "relu": True})
        yield Call("max_pool2d_backward", label, (dy, index, shape, kernel), options)
        gamma, beta = numbers(shape[-1:], shape[-1:])
        terms, of = 16 * (x.size // shape[-1] + 64), {**options, "relu": True}
        given = (x, gamma, beta, Pooling(kernel, **of))
        yield Call("batch_norm_max_pool2d_train", label, given, terms=terms)
        saved = ops.batch_norm_max_pool2d_train(*given)[1]
        yield Call("batch_norm_max_pool2d_backward", label, (dy, saved), terms=terms)
        for name, more in [("sum", {}), ("avg", {}), ("avg", {"count_include_pad": False})]:
            of = {**options, **more}
            yield Call(f"{name}_pool2d", f"{label} {more or ''}", (x, kernel), of, 320, linear=True)
            yield Call(f"{name}_pool2d_backward", f"{label} {more or ''}", (dy, shape, kernel), of, 320, linear=True)
        (dy,) = numbers((shape[0], shape[3]))
        yield Call("global_avg_pool2d", label, (x,), {}, 320, linear=True)
        yield Call("global_avg_pool2d_backward", label, (dy, shape), {}, 4, linear=True)


def dense_calls() -> Iterator[Call]:
    """Yield the dense operations."""
    for sizes in [(1, 1, 1), (5, 13, 7), (19, 300, 31)]:
        images, features, outputs = sizes
        x, w, b, dy = numbers((images, features), (outputs, features), (outputs,), (images, outputs))
        label, many = " by ".join(map(str, sizes)), {"terms": max(sizes) + 2, "linear": True}
        yield Call("dense", label, (x, w, b), **many)
        yield Call("dense", f"{label}, no bias", (x, w, None), **many)
        yield Call("dense_activation", label, (x, w, b, RELU), terms=4 * max(sizes) + 8)
        yield Call("bias_activation_backward", label, (dy, (dy, dy), RELU, True), terms=4 * max(sizes) + 8)
        yield Call("dense_backward_data", label, (dy, w), **many)
        yield Call("dense_backward_weight", label, (x, dy), **many)
        yield Call("dense_backward_bias", label, (dy,), **many)


def elementwise_calls() -> Iterator[Call]:
    """Yield activations, dropout and the finite check."""
    names = [name.removesuffix("_backward") for name in dir(activation) if name.endswith("_backward")]
    x, dy = numbers((3, 7, 5, 11), (3, 7, 5, 11))
    for name in names:
        yield Call(name, "", (3 * x,))
        yield Call(f"{name}_backward", "", (dy, 3 * x, getattr(ops, name)(3 * x)))
    yield Call("leaky_relu", "slope", (x,), {"slope": 0.3})
    yield Call("elu", "alpha", (x,), {"alpha": 0.7})
    for shape in [(1,), (257,), (3, 7, 5, 11)]:
        (x,) = numbers(shape)
        yield Call("dropout", str(shape), (x, 0.3, Stream(2**40 + 5, "3.dropout", 41)))
    yield Call("dropout_backward", "", (dy, ops.dropout(dy, 0.3, Stream(0, "mask"))[1], 0.3))
    bad = np.array([1.0, np.nan, np.inf, -np.inf, 2.0] * 101)
    yield Call("count_nonfinite", "303 in two arrays", (bad, np.zeros((3, 5))))
    yield Call("count_nonfinite", "none", (np.full(1000, 1e38),))


def row_calls() -> Iterator[Call]:
    """Yield softmax, cross-entropy and batch normalisation."""
    for shape in [(1, 1), (9, 33), (2, 3, 101)]:
        x, dy = numbers(shape, shape)
        for name in ("softmax", "log_softmax"):
            yield Call(name, str(shape), (5 * x,), terms=shape[-1] + 32)
            y = getattr(ops, name)(5 * x)
            yield Call(f"{name}_backward", str(shape), (dy, y), terms=2 * shape[-1] + 64)
    for shape, weighted in [((9, 10), False), ((5, 33), True)]:
        scores, weights = numbers(shape, shape[1:])
        labels, given = np.arange(shape[0]) % shape[1], np.abs(weights) + 0.5 if weighted else None
        options, label = {"label_smoothing": 0.1}, f"{shape}{', weighted' * weighted}"
        saved = ops.cross_entropy(scores, labels, given, **options)[1]
        yield Call("cross_entropy", label, (scores, labels, given), options, 2 * sum(shape) + 64)
        yield Call("cross_entropy_backward", label, (labels, saved, given), options, 64)
        yield Call("cross_entropy_gradient", label, (scores, labels), options, 2 * sum(shape) + 64)
    for shape in [(1, 1), (9, 10), (5, 33)]:
        (scores,), labels = numbers(shape), np.arange(shape[0]) % shape[1]
        levels = {"low": -0.8, "high": 0.8, "reduction": "half_sum"}
        for options in ({}, levels):
            yield Call("mse", f"{shape} {options or ''}", (scores, labels), options, 2 * sum(shape) + 64)
            yield Call("mse_backward", f"{shape} {options or ''}", (scores, labels), options)
        yield Call("binary_cross_entropy", str(shape), (scores, labels), terms=2 * sum(shape) + 64)
        yield Call("binary_cross_entropy_backward", str(shape), (scores, labels))
    for shape in [(2, 1), (3, 300), (2, 5, 7, 3), (211, 2)]:
        x, gamma, beta, mean, dy = numbers(shape, shape[-1:], shape[-1:], shape[-1:], shape)
        rows = int(np.prod(shape[:-1]))
        saved = ops.batch_norm_train(x, gamma, beta, 1e-3)[3]
        # A row of 2 may have a deviation of next to nothing, which 1 / sqrt(1e-3) makes 32 times as large.
        yield Call("batch_norm_train", str(shape), (x, gamma, beta, 1e-3), terms=16 * (rows + 64))
        yield Call("batch_norm_backward", str(shape), (dy, saved), terms=16 * (rows + 64))
        given = (x, gamma, beta, mean, np.abs(mean) + 0.1, 1e-3)
        yield Call("batch_norm_eval", str(shape), given, terms=128)
        for end, function, z in (("", None, None), (", relu", RELU, None), (", z, relu", RELU, dy)):
            label, first = f"{shape}{end}", (x, gamma, beta, 1e-3, function, z)
            yield Call("batch_norm_activation_train", label, first, terms=16 * (rows + 64))
            saved = ops.batch_norm_activation_train(*first)[3]
            yield Call("batch_norm_activation_backward", label, (dy, saved), terms=16 * (rows + 64))
            yield Call("batch_norm_activation_eval", label, (*given, function, z), terms=128)


def gather_calls() -> Iterator[Call]:
    """Yield batches from a data set."""
    rng = np.random.default_rng(5)
    labels, indices = rng.integers(0, 10, 7), np.array([6, 0, 3, 3])
    for shape, changes, shifted in [((1, 1, 1), 0, False), ((5, 4, 3), 1, True), ((3, 7, 2), 3, True)]:
        images = rng.integers(0, 256, (7, *shape)).astype(np.uint8)
        frames = np.stack([some_frames(rng, 4, shape) for _ in range(max(1, changes))], axis=1)
        scale, shift = numbers(shape[-1:], shape[-1:])
        given = (images, labels, indices, frames[:, :changes], scale, shift if shifted else None)
        yield Call("gather", f"{shape}, {changes} changes", given, terms=2)
    streams = [Stream(2**40 + 5, f"{place}.augment", 41) for place in range(3)]
    crop, cutout = {"top": -2, "left": -4}, {"to_row": 3}
    draws = Draw(streams[0], 5, 9, frame=crop), Draw(streams[1], rate=0.4), Draw(streams[2], 8, 7, 0, True, cutout)
    yield Call("draw_frames", "", (1000 * indices, list(draws)))


def some_frames(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return frames for images of `shape`, with every border, up to as far out as images can be mirrored."""
    height, width = shape[:2]
    return np.stack(
        [
            *(rng.integers(1 - size, size, count) for size in (height, width)),
            rng.integers(0, 2, count),
            np.arange(count) % 3,
            rng.integers(0, 256, count),
            *(rng.integers(low, size + 1, count) for size in (height, width) for low in (-2, 0)),
        ],
        axis=1,
    ).astype(np.int32)


def accuracy_calls() -> Iterator[Call]:
    """Yield scores, with many equal ones, and labels."""
    for shape in [(1, 1), (9, 33), (57, 10)]:
        scores, labels = np.round(numbers(shape)[0]), np.arange(shape[0]) % shape[1]
        yield Call("count_correct", str(shape), (scores, labels))


def update_calls() -> Iterator[Call]:
    """Yield steps of the optimizers, and sums."""
    sides = tuple(numbers((3, 97), (3, 97)))
    yield Call("add", "(3, 97)", sides, terms=1, linear=True)
    yield Call("add_activation", "(3, 97)", (*sides, RELU), terms=1)
    yield Call("add_activation_backward", "(3, 97)", (sides[0], RELU, (sides[1], sides[1])), terms=1)
    values, grads, firsts, seconds = (numbers((3, 97), (5,), (1, 1, 2)) for _ in range(4))
    decayed = [True, False, True]
    for momentum, nesterov, decay in [(0.0, False, 0.1), (0.9, False, 0.0), (0.9, True, 0.1)]:
        options = {"lr": 0.3, "momentum": momentum, "nesterov": nesterov, "decay": decay}
        velocities, changed = (firsts, (0, 2)) if momentum else (None, (0,))
        yield Call("sgd_update", str(options), (values, grads, velocities, decayed), options, changed=changed)
    for decoupled, decay in [(False, 0.0), (False, 0.1), (True, 0.1)]:
        options = {"lr": 0.3, "step": 2, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3}
        options |= {"decay": decay, "decoupled": decoupled}
        lists = (values, grads, firsts, [np.square(array) for array in seconds])
        yield Call("adam_update", str(options), (*lists, decayed), options, 128, changed=(0, 2, 3))
    options = {"lr": 0.3, "eps": 1e-3, "decay": 0.1}
    lists = (values, grads, [np.square(array) for array in seconds])
    yield Call("adagrad_update", str(options), (*lists, decayed), options, 128, changed=(0, 2))


def numbers(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Return an array of standard normal numbers of each shape, the same ones every time."""
    rng = np.random.default_rng(20260102)
    return [rng.standard_normal(shape) for shape in shapes]


CALLS = [
    *conv_calls(CONVS),
    *pool_calls(),
    *dense_calls(),
    *elementwise_calls(),
    *row_calls(),
    *update_calls(),
    *gather_calls(),
    *accuracy_calls(),
]
"""Of every public operation, at least one."""
