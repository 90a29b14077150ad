"""Threads: all blocks are done, errors come out, nothing else changes; and bits do not depend on how many there are."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from gpucnn import ops
from gpucnn.cpu import threads
from gpucnn.cpu.threads import run, using
from gpucnn.dispatch import using as impl
from gpucnn.errors import ArgumentError
from gpucnn.ops.activation import RELU
from gpucnn.random import Stream

COUNTS = [1, 2, 3]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("blocks", [0, 1, 2, 50])
def test_every_block_is_done_once(count, blocks):
    done = np.zeros(blocks, int)

    def work(i):
        done[i] += 1

    with using(count):
        run(work, blocks)
    assert (done == 1).all()


def test_blocks_run_at_the_same_time():
    together = threading.Barrier(3, timeout=10)
    with using(3):
        run(lambda i: together.wait(), 3)
    assert not together.broken


@pytest.mark.parametrize("count", COUNTS)
def test_the_first_error_comes_out_and_the_next_run_is_not_disturbed(count):
    done = []

    def work(i):
        if i == 1:
            raise ZeroDivisionError("block 1")
        done.append(i)

    with using(count):
        with pytest.raises(ZeroDivisionError, match="block 1"):
            run(work, 1000)
        assert len(done) < 999
        done.clear()
        run(done.append, 20)
    assert sorted(done) == list(range(20))


def test_an_interrupt_waits_for_the_blocks_under_way():
    """When it comes out of `run`, no other thread writes any more."""
    begun, ended = threading.Event(), []

    def work(i):
        if threading.current_thread() is threading.main_thread():
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.05)
        ended.append(i)

    with using(2), pytest.raises(KeyboardInterrupt):
        run(work, 100)
    count = len(ended)
    assert count >= 1
    time.sleep(0.1)
    assert len(ended) == count


def test_a_block_may_run_blocks_of_its_own():
    done = []
    with using(3):
        run(lambda i: run(lambda j: done.append((i, j)), 4), 4)
    assert sorted(done) == [(i, j) for i in range(4) for j in range(4)]


def test_blocks_see_the_error_state_of_the_caller():
    def work(i):
        np.divide(np.ones(2), np.zeros(2))

    with using(2):
        with np.errstate(divide="ignore"):
            run(work, 8)
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            run(work, 8)


def test_blas_is_held_to_one_thread_and_released():
    library = threads._blas()[0]
    before = library.num_threads
    library.set_num_threads(2)
    try:
        seen = []
        run(lambda i: seen.append(library.num_threads), 2)
        assert seen == [1, 1]
        with pytest.raises(ValueError, match="no"):
            run(lambda i: (_ for _ in ()).throw(ValueError("no")), 2)
        assert library.num_threads == 2
    finally:
        library.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    with using(2):
        run(lambda i: None, 4)
        if (child := os.fork()) == 0:
            together = threading.Barrier(2, timeout=10)
            try:
                run(lambda i: together.wait(), 2)
                os._exit(0)
            finally:
                os._exit(1)
        deadline = time.monotonic() + 20
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert ended == (child, 0)


@pytest.mark.parametrize(
    ("value", "expected"), [("3", 3), ("2,1", 2), ("", None), ("0", None), ("dynamic", None), (" 4 ", 4)]
)
def test_omp_num_threads_is_honoured(value, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads.threads() == (expected or threads.cores())
    with using(7):
        assert threads.threads() == 7


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_control_groups_limit_is_honoured(files, expected, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads._quota(tmp_path) == expected


def test_no_threads_at_all_are_refused():
    with pytest.raises(ArgumentError, match=r"threads \(=0\)"), using(0):
        pass


def everything(rng: np.random.Generator) -> list[np.ndarray]:
    """Return what every fast operation makes of arrays large enough for several blocks."""

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    found = []
    for shape, depth, options in (
        ((24, 14, 14, 32), 32, {"padding": 2}),
        ((24, 15, 15, 32), 32, {"stride": 2}),
        ((24, 14, 14, 3), 3, {}),
        ((24, 14, 14, 32), 1, {"padding": 2, "groups": 32}),
    ):
        x, w = normal(*shape), normal(32, 5, 5, depth)
        y = ops.conv2d(x, w, normal(32), **options)
        dx = ops.conv2d_backward_data(y, w, x.shape, **options)
        found += [y, dx, ops.conv2d_backward_weight(x, y, w.shape, **options)]
        g = normal(32)
        found.append(ops.conv2d_batch_norm_eval(x, w, g, (g, g, g, g**2, 1e-3), function=RELU, **options))
    x, w, g = normal(24, 30, 30, 33), normal(64, 33, 1, 1).reshape(64, 1, 1, 33), normal(33)
    found += [ops.conv2d(x, w), ops.conv2d_backward_weight(x, ops.conv2d(x, w), w.shape)]
    y, mean, var, saved = ops.batch_norm_train(x, g, g)
    found += [y, mean, var, *ops.batch_norm_backward(x, saved), ops.batch_norm_eval(x, g, g, mean, var)]
    y, *_, kept = ops.batch_norm_activation_train(x, g, g, function=RELU)
    found += [y, *ops.batch_norm_activation_backward(x, kept)[:3]]
    found += [ops.batch_norm_activation_eval(x, g, g, mean, var, function=RELU)]
    for window in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}):
        y, index = ops.max_pool2d(x, **window)
        found += [y, index, ops.max_pool2d_backward(y, index, x.shape, **window)]
    found += [ops.relu(x), ops.relu_backward(x, x, x)]
    a, b = normal(256, 2000), normal(600, 2000)
    y = ops.dense(a, b, normal(600))
    found += [y, ops.dense_backward_data(y, b), ops.dense_backward_weight(a, y), ops.dense_backward_bias(y)]
    found += [*ops.dropout(x, 0.5, Stream(0, "t"))]
    value, velocity = normal(700, 700), normal(700, 700)
    ops.sgd_update([value], [normal(700, 700)], [velocity], [True], lr=0.1, momentum=0.9, decay=0.1, nesterov=True)
    return [*found, value, velocity]


@pytest.mark.usefixtures("way")
def test_bits_do_not_depend_on_the_number_of_threads():
    results = []
    for count in [*COUNTS, 3]:
        with using(count), impl("auto"):
            results.append(everything(np.random.default_rng(5)))
    for other in results[1:]:
        for at, (one, two) in enumerate(zip(results[0], other, strict=True)):
            np.testing.assert_array_equal(one, two, err_msg=f"result {at}")
