"""Memory: used again when nobody looks at it any more, never before; and none is asked for once training runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from gpucnn.cpu import memory
from gpucnn.cpu.memory import Pool, size_class
from gpucnn.cpu.threads import using
from gpucnn.layers.activation import Relu
from gpucnn.layers.batch_norm import BatchNorm
from gpucnn.layers.conv2d import Conv2d
from gpucnn.layers.dense import Dense
from gpucnn.layers.dropout import Dropout
from gpucnn.layers.flatten import Flatten
from gpucnn.layers.pool2d import MaxPool2d
from gpucnn.model import Model
from gpucnn.random import Step


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.float64, np.bool_])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (7,), (1000, 3), (5, 4096)])
def test_an_array_is_an_array(shape, dtype):
    array = Pool().empty(shape, dtype)
    array[...] = 1
    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert array.flags.c_contiguous
    assert array.flags.writeable
    if array.nbytes >= memory.SMALLEST:
        assert array.ctypes.data % 64 == 0


def test_memory_is_used_again_when_the_last_view_dies():
    pool = Pool()
    array = pool.empty((1000, 3))
    address, view = array.ctypes.data, array[5:].T
    del array
    other = pool.empty((1000, 3))
    assert other.ctypes.data != address
    del view
    again = pool.empty((3000,))
    assert again.ctypes.data == address
    assert pool.misses == 2


def test_arrays_that_live_do_not_share_memory():
    pool = Pool()
    arrays = [pool.empty((100 + n, 17)) for n in range(40)]
    for n, array in enumerate(arrays):
        array[...] = n
    assert [array.min() == array.max() == n for n, array in enumerate(arrays)] == [True] * 40


def test_a_size_class_wastes_an_eighth_at_most():
    for size in (*range(4096, 9000), 123_457, 10**9 + 1):
        assert size <= size_class(size) <= 1.125 * size + 1


def test_idle_memory_that_nobody_asks_for_goes(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    pool = Pool()
    pool.empty((100_000,), np.uint8)
    now[0] += memory.KEPT_SECONDS / 2
    pool.empty((200_000,), np.uint8)
    assert pool.idle_bytes >= 300_000
    now[0] += 0.75 * memory.KEPT_SECONDS
    pool.empty((500_000,), np.uint8)  # a miss: of the two others, the smaller is old by now
    assert 200_000 <= pool.idle_bytes - size_class(500_000) < 300_000
    pool.clear()
    assert pool.idle_bytes == 0


def test_a_little_more_than_needed_will_do():
    pool = Pool()
    address = pool.empty((10_000,), np.uint8).ctypes.data
    assert pool.empty((9_000,), np.uint8).ctypes.data == address
    assert pool.empty((4_096,), np.uint8).ctypes.data != address
    assert pool.empty((10_000,), np.uint8).ctypes.data == address


def network() -> Model:
    """Return a small network of the kind of LeNet, with what others have between its convolutions and its end."""
    convs = [Conv2d(16, 5, padding="same"), Relu(), MaxPool2d(), Conv2d(32, 5, padding="same"), Relu(), MaxPool2d()]
    between = [Conv2d(32, 3, stride=2, padding=1, groups=32), BatchNorm(), Relu(), BatchNorm(), MaxPool2d(3, 2)]
    return Model([*convs, *between, Flatten(), Dense(64), Relu(), Dropout(), Dense(10)], (28, 28, 1))


def steps(x: np.ndarray) -> Iterator[int]:
    """Train, and yield after each step how often it has asked the system for memory."""
    model = network()
    for index in itertools.count():
        before = memory.pool.misses
        scores, saved = model.forward(x, train=Step(0, index))
        model.zero_grad()
        model.backward(scores, saved)
        yield memory.pool.misses - before


@pytest.mark.usefixtures("way")
def test_steady_steps_ask_for_no_memory(rng):
    """With several threads, how many blocks are under way at a time is chance, and now and then one more than ever."""
    x = rng.standard_normal((32, 28, 28, 1)).astype(np.float32)
    memory.pool.clear()
    with using(1):
        first, _, *others = itertools.islice(steps(x), 22)
        assert first > 0
        assert sum(others) == 0
    with using(2):
        misses = list(itertools.islice(steps(x), 200))
        assert sum(missed == 0 for missed in misses) >= 150
