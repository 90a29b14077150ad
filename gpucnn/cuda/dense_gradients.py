"""dense_backward.cu: all gradients of a dense layer with few outputs, from one reading of dy."""

from __future__ import annotations

from gpucnn.backend import Array, Shape, array_module
from gpucnn.cuda.activation import Named, end_of, tells_by_output
from gpucnn.cuda.conv2d import task_of
from gpucnn.cuda.dense import WINDOW, images
from gpucnn.cuda.families import apart
from gpucnn.cuda.launch import launch
from gpucnn.cuda.machine import Machine, nominal
from gpucnn.cuda.plans import Task
from gpucnn.cuda.sums import add_parts, new_parts
from gpucnn.dispatch import NotApplicable

COLUMNS, IMAGES = 32, 32
"""Of a block, and of a tile of what it reads, as in dense_backward.cu."""

BLOCKS = 128
"""As many as keep a large GPU busy: images are cut into parts until there are about so many."""

SHARE = 0.25
"""Of a machine's peak that it is taken to reach: two numbers are read from shared memory for two to four products."""


def most_outputs(dtype: str) -> int:
    """Return for how many outputs a block has room in shared memory."""
    return 64 if dtype == "float64" else 128


def dense_gradients(
    x: Array, dy: Array, w: Array, bias: bool, function: Named | None, kept: tuple[Array, Array] | None
) -> tuple[Array, Array, Array | None]:
    """Return dx, dw and db; dw and db are float32 for halves.

    Raises NotApplicable where one after the other is faster, or there are too many outputs.
    """
    if function is not None and not tells_by_output(function):
        raise NotApplicable("the derivative needs what comes before the activation")
    (n, c), k = x.shape, len(w)
    data = task_of("backward_data", dy, images(x).shape, images(w).shape, WINDOW, 1)
    if not is_faster(data):
        raise NotApplicable("dx, dw and db are computed by themselves")
    pieces = pieces_of(n, c)
    dx = array_module(x).empty(x.shape, x.dtype)
    parts, biases = new_parts(x, pieces, w.size), new_parts(x, pieces, k) if bias else None
    launch(
        "dense_backward", (-(-c // COLUMNS), pieces), x=x, dy=dy, y=None if kept is None else kept[1], w=w, dx=dx,
        parts=parts, biases=biases, N=n, C=c, K=k, **end_of(function),
    )  # fmt: skip
    return dx, _added(parts, w.shape), None if biases is None else _added(biases, (k,))


def is_faster(data: Task) -> bool:
    """Return whether a dense layer, given its task of backward data, is faster at once than by its products."""
    machine, both = nominal(data.architecture), data._replace(which="both_gradients")
    alone = apart.estimate(both, apart.plans(both)[0], machine) + machine.launch
    return data.w_shape[0] <= most_outputs(data.dtype) and estimate(data, machine) < alone


def estimate(data: Task, machine: Machine) -> float:
    """Return about how many seconds it takes: blocks by waves over the multiprocessors, or what memory allows."""
    (n, *_, c), k = data.x_shape, data.w_shape[0]
    pieces = pieces_of(n, c)
    blocks, rows = -(-c // COLUMNS) * pieces, -(-n // pieces // IMAGES) * IMAGES
    waves = -(-blocks // machine.multiprocessors) * machine.multiprocessors
    peak = machine.double if data.dtype == "float64" else machine.fma
    return machine.seconds(waves * 4.0 * rows * COLUMNS * max(k, 8), SHARE * peak, 2 * data.bytes)


def pieces_of(n: int, c: int) -> int:
    """Return in how many parts the images of a batch are taken: by these numbers alone, on every device.

    >>> pieces_of(512, 84), pieces_of(512, 4096), pieces_of(1, 1)
    (16, 1, 1)
    """
    return max(1, min(-(-n // IMAGES), BLOCKS // -(-c // COLUMNS)))


def _added(parts: Array, shape: Shape) -> Array:
    """Return the sum over the first axis of `parts`: of one part, that part."""
    return add_parts(parts, shape) if len(parts) > 1 else parts.reshape(shape)
