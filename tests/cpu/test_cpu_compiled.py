"""How loops are compiled and kept, and the instructions that they are written with."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gpucnn import numerics, ops
from gpucnn.cpu import compiled, threads
from gpucnn.cpu.memory import empty
from gpucnn.cpu.winograd_matrices import exact_matrices
from gpucnn.dispatch import using

pytest.importorskip("numba")

from gpucnn.cpu.compiled import jit, work
from gpucnn.cpu.compiled.transforms import matrix, multiplied
from gpucnn.cpu.compiled.vectors import (
    ADD,
    LANES,
    NARROW,
    PAST,
    PAST_BYTES,
    RELU,
    WIDE,
    WRITE,
    contract,
    contract_channels,
    far,
)


def double(x):
    return x + x


def hits(function):
    return sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values())


def test_what_is_compiled_is_kept_until_any_of_the_files_changes(monkeypatch):
    jit.compiled(double)(1.5)
    again = jit.compiled(double)
    assert again(1.5) == 3.0
    assert hits(again) == (1, 0)
    monkeypatch.setattr(jit, "sources", lambda: "another text")
    changed = jit.compiled(double)
    assert changed(1.5) == 3.0
    assert hits(changed) == (0, 1)


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch):
    def no_folder(self):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(type(jit.compiled(double)), "enable_caching", no_folder)
    assert jit.compiled(double)(2.5) == 5.0


def test_numba_is_imported_by_the_first_float32_convolution_and_not_before():
    code = """
import sys
import numpy as np
from gpucnn import cpu, ops
from gpucnn.cpu import conv2d
x, w = np.ones((1, 4, 4, 1)), np.ones((16, 3, 3, 1))
ops.conv2d(x, w)
assert "numba" not in sys.modules
ops.conv2d(x.astype(np.float32), w.astype(np.float32))
assert "numba" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_compiled_loops_nothing_of_them_is_used():
    code = """
import sys
import numpy as np
from gpucnn import ops
from gpucnn import ops
from gpucnn.cpu import compiled, threads
with compiled.using(False):
    ops.conv2d(np.ones((1, 4, 4, 1), np.float32), np.ones((16, 3, 3, 1), np.float32))
assert "numba" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@jit.compiled
def contract_wide(begin, a, b, out, m, n, mode):
    width = 2 * LANES
    contract(WIDE, 2, begin, 0, a, 1, m * n, n, 1, b, 0, n * width, width, m, n, mode, out, 0, width)


@jit.compiled
def contract_narrow(begin, a, b, out, m, n, mode):
    contract(NARROW, 1, begin, 0, a, 1, m * n, n, 1, b, 0, n * LANES, LANES, m, n, mode, out, 0, LANES)


@pytest.mark.parametrize("mode", [WRITE, ADD, PAST, RELU, PAST | RELU, ADD | RELU])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 5), (0, 4), (2, 0)])
@pytest.mark.parametrize(
    ("function", "rows", "width"), [(contract_wide, WIDE, 2 * LANES), (contract_narrow, NARROW, LANES)]
)
def test_contract_is_a_matrix_product(function, rows, width, m, n, mode, rng):
    """On small whole numbers, so that nothing is rounded."""
    a, b = rng.integers(-9, 9, (rows, m * n)), rng.integers(-9, 9, (m * n, width))
    begin, out = rng.integers(-9, 9, width), rng.integers(-9, 9, (rows, width))
    expected = begin + a @ b + (out if mode & ADD else 0)
    expected = np.maximum(expected, 0) if mode & RELU else expected
    held = np.concatenate([[99], a.reshape(-1)]).astype(np.float32)
    result = empty((1024,))[: out.size].reshape(out.shape)  # aligned, as PAST wants it
    result[...] = out
    function(begin.astype(np.float32), held, b.astype(np.float32), result, m, n, mode)
    assert (result == expected).all()


@jit.compiled
def contract_each(begin, a, b, out, m, n):
    width = 2 * LANES
    contract_channels(
        3, 2, begin, 0, a, 1, m * n * width, n * width, width, b, 0, n * width, width, m, n, 0, out, 0, width
    )


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 5), (0, 4), (2, 0)])
def test_channels_are_contracted_one_by_one(m, n, rng):
    width = 2 * LANES
    a, b, begin = (rng.integers(-9, 9, shape) for shape in ((3, m * n, width), (m * n, width), width))
    held, out = np.concatenate([[99], a.reshape(-1)]).astype(np.float32), np.empty((3, width), np.float32)
    contract_each(begin.astype(np.float32), held, b.astype(np.float32), out, m, n)
    assert (out == begin + (a * b).sum(axis=1)).all()


def test_only_large_arrays_of_aligned_vectors_are_written_past_the_caches():
    large = empty((64, 64, 64, 16))
    assert far(large) == (LANES == 16)
    assert not far(large[:2])
    assert not far(large.reshape(-1)[1 : 1 + 64**3 * 15].reshape(64, 64, 64, 15))
    assert not far(large.reshape(-1)[1:-15].reshape(-1, 16))


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1)])
@pytest.mark.parametrize("kind", ["fast", "exact"])
def test_bits_do_not_depend_on_the_number_of_threads(kernel, stride, kind, monkeypatch, rng):
    """Of many small blocks, which several threads finish in another order at every run."""
    monkeypatch.setattr(work, "BLOCK_PRODUCTS", 1 << 12)
    a = {"padding": kernel // 2, "stride": stride}
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((12, 16, 16, 16), (32, kernel, kernel, 16)))
    results = []
    for count in (1, 2, 3, 3):
        with threads.using(count), numerics.using(kind), using("fast"):
            y = ops.conv2d(x, w, **a)
            results.append(
                (y, ops.conv2d_backward_data(y, w, x.shape, **a), ops.conv2d_backward_weight(x, y, w.shape, **a))
            )
    assert len(work.blocks(12, y[0].size * 16 * kernel, sums=1)) == 12
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("kind", ["fast", "exact"])
def test_large_results_are_those_of_small_batches(kernel, stride, kind, rng):
    """Whether written past the caches or not."""
    x = rng.standard_normal((100, 29, 32, 16)).astype(np.float32)
    w = rng.standard_normal((48, kernel, kernel, 16)).astype(np.float32)
    a = {"padding": kernel // 2, "stride": stride}
    with numerics.using(kind), using("fast"):
        whole = ops.conv2d(x, w, **a)
        assert whole.nbytes >= PAST_BYTES
        for i in range(0, 100, 25):
            assert (ops.conv2d(x[i : i + 25], w, **a) == whole[i : i + 25]).all()


@pytest.mark.parametrize("r", [3, 5])
@pytest.mark.parametrize("kind", ["data", "taps", "output", "gradient", "kernels"])
def test_transforms_multiply_by_their_matrix(kind, r):
    """In fractions, with fewer operations than the matrix has numbers that are not 0 and 1."""
    data, taps, output = exact_matrices(r)
    turned = {"gradient": output, "kernels": taps}
    expected = {"data": data, "taps": taps, "output": output}.get(kind) or [
        list(column) for column in zip(*turned[kind], strict=True)
    ]
    rows = matrix(kind, r)
    assert rows == expected
    x = [n * n - 7 * n + 3 for n in range(len(rows[0]))]
    count = 0

    def counted(function):
        def call(a, b):
            nonlocal count
            count += 1
            return function(a, b)

        return call

    found = multiplied(rows, x, counted(lambda a, b: a + b), counted(lambda a, b: a - b), counted(lambda a, b: a * b))
    assert found == [sum(a * b for a, b in zip(row, x, strict=True)) for row in rows]
    assert count < sum(sum(1 if abs(a) == 1 else 2 for a in row if a) - 1 for row in rows)


def test_loops_can_be_turned_off():
    assert compiled.available()
    with compiled.using(False):
        assert not compiled.available()
    assert compiled.available()
