"""The run time that stands in for a GPU: what it lets pass, and what it stops at, on kernels of a line or two."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cushim.module import KernelError, Module, Schedule

SCHEDULES = [Schedule(), Schedule("reverse"), Schedule("warps", seed=1), Schedule("warps", seed=2)]

T64 = (64,)

RIGHT: dict[str, tuple[tuple[int, ...], str]] = {
    "barrier between neighbours": (T64, "__shared__ float s[64]; s[t] = x[t]; __syncthreads(); y[t] = s[63 - t];"),
    "warp barrier between lanes": (T64, "__shared__ float s[64]; s[t] = x[t]; __syncwarp(); y[t] = s[t ^ 1];"),
    "shuffle": (T64, "y[t] = __shfl_xor_sync(0xffffffffu, x[t], 1) + __shfl_down_sync(0xffffffffu, x[t], 31);"),
    "count of a block": (
        T64,
        "y[t] = __syncthreads_count(t < 5) + __syncthreads_or(t == 3) + __syncthreads_and(t == 3);",
    ),
    "atomic addition": (T64, "y[t] = 0; __syncthreads(); atomicAdd(&y[0], 1.f);"),
    "many readers": (
        T64,
        "__shared__ float s; if (!t) s = x[5]; __syncthreads(); y[t] = s; __syncthreads(); if (!t) s = 1;",
    ),
    "copies that go on by themselves": (
        T64,
        "__shared__ float s[64]; COPY(s + t, x + t, 4); AWAIT; __syncthreads(); y[t] = s[63 - t];",
    ),
    "copies in groups": (
        T64,
        "__shared__ float s[128]; COPY(s + t, x + t, 4); COMMIT; COPY(s + 64 + t, x + 63 - t, 4); COMMIT;"
        "AWAIT_BUT(1); __syncthreads(); y[t] = s[63 - t]; AWAIT_BUT(0); __syncthreads(); y[t] += s[64 + t] + 1;",
    ),
    "a copy of less than there is room for": (
        (16,),
        "alignas(16) __shared__ float s[64]; COPY_SOME(s + 4 * t, x + 4 * t, 16, t % 17); AWAIT; y[t] = s[4 * t];",
    ),
    "shared memory that is added": (T64, "ADDED; s[t] = x[t]; __syncthreads(); y[t] = s[63 - t];"),
    "a warp that leaves before a shuffle": (T64, "if (t < 32) return; y[t] = __shfl_sync(0xffffffffu, x[t], 0);"),
}

WRONG: dict[str, tuple[tuple[int, ...], str, str]] = {
    "read past the end": (T64, "y[t] = x[t + 64];", "read outside argument 0"),
    "read before the start": (T64, "y[t] = x[t - 1];", "read outside argument 0"),
    "write past the end": (T64, "y[t * 100 + 64] = 1;", "write outside argument 1"),
    "write a little past the end": (T64, "y[t + 1] = 1;", "outside argument 1|written next to argument 1"),
    "write to an input": (T64, "((float*)x)[t] = 1;", "write of read-only argument 0"),
    "array bounds": (T64, "__shared__ float s[64]; s[t + n] = 0; __syncthreads(); y[t] = s[t];", "index out of bounds"),
    "integer overflow": (T64, "y[t] = 2147483647 + n;", "integer overflow"),
    "division by zero": (T64, "y[t] = 5 % (n - 1);", "division by zero|index out of bounds"),
    "misaligned address": (T64, "y[t] = *(const float*)((const char*)x + n);", "misaligned"),
    "nothing written": (
        T64,
        "__shared__ float s[64]; if (n == 0) s[t] = 1; y[t] = s[t];",
        "read of shared memory that nothing was written",
    ),
    "a missing barrier": (
        T64,
        "__shared__ float s[64]; s[t] = x[t]; y[t] = s[63 - t];",
        "race on shared memory|nothing was written",
    ),
    "a missing warp barrier": (
        T64,
        "__shared__ float s[64]; s[t] = x[t]; y[t] = s[t ^ 1];",
        "race on shared memory|nothing was written",
    ),
    "a warp barrier between warps": (
        T64,
        "__shared__ float s[64]; s[t] = x[t]; __syncwarp(); y[t] = s[t ^ 32];",
        "race on shared memory|nothing was written",
    ),
    "overwritten while it is read": (
        T64,
        "__shared__ float s[64]; s[t] = x[t]; __syncthreads(); y[t] = s[63 - t]; s[t] = 0;",
        "race on shared memory",
    ),
    "two writers": (T64, "y[t / 2] = t;", "race on argument 1.*written twice"),
    "an addition that is not atomic": (T64, "y[0] += 1;", "race on argument 1"),
    "two blocks": (T64, "if (t == 0) y[0] = blockIdx.x;", "race on argument 1.*written by another block"),
    "a block reads another's": (T64, "y[blockIdx.x * 64 % 64 + t] = y[(blockIdx.x + t) % 64];", "race on argument 1"),
    "a barrier for some": (T64, "if (t < 32) __syncthreads(); y[t] = 1;", "leaves while others wait|have left"),
    "two barriers": (T64, "if (t < 32) __syncthreads();\nelse __syncthreads();\ny[t] = 1;", "divergent barrier"),
    "a barrier after an exit": (
        T64,
        "if (t > 5) return; __syncthreads(); y[t] = 1;",
        "leaves while others wait|have left",
    ),
    "a shuffle without a lane": (T64, "if (t != 7) y[t] = __shfl_sync(0xffffffffu, x[t], 0);", "deadlock|names lane 7"),
    "a lane that is not in its mask": (T64, "y[t] = __shfl_sync(0xffffu, x[t], 0);", "in which it is not"),
    "a shuffle from outside the mask": (
        (16,),
        "y[t] = __shfl_sync(0xffffu, x[t], 20);",
        "reads lane 20, which is not in mask",
    ),
    "a warp apart": (
        (32,),
        "if (t & 1) y[t] = __shfl_sync(~0u, x[t], 0);\nelse y[t] = __shfl_sync(~0u, x[t], 1);",
        "divergent warp",
    ),
    "a copy that is not awaited": (
        T64,
        "__shared__ float s[64]; COPY(s + t, x + t, 4); y[t] = x[t];",
        r"leaves before its copy \(.*:1\) has arrived",
    ),
    "a copy awaited after the barrier": (
        T64,
        "__shared__ float s[64]; COPY(s + t, x + t, 4); __syncthreads(); AWAIT; y[t] = s[63 - t];",
        "race on shared memory",
    ),
    "a copy over what is read": (
        T64,
        "__shared__ float s[64]; s[t] = 0; __syncthreads(); y[t] = s[63 - t]; COPY(s + t, x + t, 4); AWAIT;",
        "race on shared memory",
    ),
    "a copy past the end": (
        T64,
        "__shared__ float s[64]; COPY(s + t, x + t + 64, 4); AWAIT;",
        "read outside argument 0",
    ),
    "a copy that is not aligned": (
        T64,
        "__shared__ float s[128]; COPY(s + t, x, 16); AWAIT;",
        "an address is no multiple of so many",
    ),
    "a group that is not awaited yet": (
        T64,
        "__shared__ float s[64]; COPY(s + t, x + t, 4); COMMIT; AWAIT_BUT(1); __syncthreads();y[t] = s[63 - t]; AWAIT;",
        "race on shared memory",
    ),
    "a copy of more than there is room for": (
        T64,
        "__shared__ float s[64]; COPY_SOME(s + t, x, 4, 5); AWAIT;",
        "5 of them cannot be there",
    ),
    "past the end of what is added": (T64, "ADDED; s[256 * t] = 1;", "write outside shared memory"),
    "nothing written to what is added": (T64, "ADDED; y[t] = s[t];", "read of shared memory that nothing was written"),
    "a race on what is added": (T64, "ADDED; s[t] = x[t]; y[t] = s[63 - t];", "race on shared memory|nothing was writ"),
    "a product without a lane": (
        (32,),
        "unsigned a[4] = {}, b[2] = {}; float c[4] = {}; if (t != 5) MULTIPLY(c, a, b); y[t] = c[0];",
        "deadlock|names lane 5",
    ),
    "matrices that nothing was written to": (
        (32,),
        "ADDED; unsigned a[4]; LOAD(a, s + 4 * t); y[t] = a[0];",
        "read of shared memory that nothing was written",
    ),
    "rows that are not aligned": (
        (32,),
        "ADDED; unsigned a[4]; LOAD(a, s + 4 * t + 1); y[t] = a[0];",
        "not 16 bytes of shared",
    ),
    "a copy to an array": (T64, "COPY(y + t, x + t, 4); AWAIT;", "not to shared memory"),
    "too large a local array": (T64, "volatile float big[60000]; big[n] = x[t]; y[t] = big[n];", "stack overflow"),
}


@pytest.fixture(scope="module")
def module(builds: Path) -> Module:
    """All these kernels: `right0` ... and `wrong0` ..., of 2 blocks, x and y being 64 numbers and n = 1."""
    head = 'extern "C" __global__ void {}(const float* x, float* y, int n) {{ const int t = threadIdx.x; {} }}'
    bodies = {f"right{i}": body for i, (_, body) in enumerate(RIGHT.values())}
    bodies |= {f"wrong{i}": body for i, (_, body, _) in enumerate(WRONG.values())}
    copies = (
        "#define COPY(to, from, bytes) COPY_SOME(to, from, bytes, bytes)\n"
        '#define COPY_SOME(...) cushim_copy_async(__VA_ARGS__, "k.cu", 1)\n'
        "#define COMMIT cushim_commit_copies()\n#define AWAIT_BUT(groups) cushim_await_copies(groups)\n"
        "#define AWAIT AWAIT_BUT(-1)\n#define ADDED float* s = (float*)cushim_dynamic_shared()\n"
        "#define MULTIPLY(c, a, b) cushim_mma(CUSHIM_FLOAT16, c, a, b, __FILE__, __LINE__)\n"
        "#define LOAD(into, row) cushim_load_matrices(into, row, false, __FILE__, __LINE__)\n"
    )
    return Module(copies + "\n".join(head.format(name, body) for name, body in bodies.items()), list(bodies), builds)


def run(module: Module, name: str, block: tuple[int, ...], schedule: Schedule, grid: int = 1) -> np.ndarray:
    x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    module.get_function(name)((grid,), block, (x, y, np.int32(1)), shared_mem=1024, schedule=schedule)
    return y


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: f"{s.order} {s.seed}")
@pytest.mark.parametrize("number", range(len(RIGHT)), ids=list(RIGHT))
def test_what_is_right_passes(module, number, schedule):
    block = list(RIGHT.values())[number][0]
    y = run(module, f"right{number}", block, schedule)
    np.testing.assert_array_equal(y, run(module, f"right{number}", block, SCHEDULES[0]))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: f"{s.order} {s.seed}")
@pytest.mark.parametrize("number", range(len(WRONG)), ids=list(WRONG))
def test_what_is_wrong_is_caught_and_told(module, number, schedule):
    block, _, message = list(WRONG.values())[number]
    caught = []
    for at_start in (False, True):
        try:
            run(module, f"wrong{number}", block, replace(schedule, at_start=at_start), grid=2)
        except KernelError as error:
            caught.append(str(error))
    assert caught, "nothing was wrong with it"
    assert any(re.search(message, told) for told in caught), caught


def test_values_are_those_of_a_gpu(module):
    lanes = np.arange(64)
    x = np.arange(64)
    right = {name: run(module, f"right{i}", block, SCHEDULES[0]) for i, (name, (block, _)) in enumerate(RIGHT.items())}
    np.testing.assert_array_equal(right["barrier between neighbours"], x[::-1])
    np.testing.assert_array_equal(right["warp barrier between lanes"], x[lanes ^ 1])
    down = np.where(lanes % 32 == 0, lanes + 31, lanes)
    np.testing.assert_array_equal(right["shuffle"], x[lanes ^ 1] + x[down])
    np.testing.assert_array_equal(right["count of a block"], 5 + 1 + 0)
    assert right["atomic addition"][0] == 64
    np.testing.assert_array_equal(right["copies that go on by themselves"], x[::-1])
    np.testing.assert_array_equal(right["copies in groups"], x[::-1] + x[::-1] + 1)
    np.testing.assert_array_equal(right["shared memory that is added"], x[::-1])
    assert right["a copy of less than there is room for"][0] == 0
    np.testing.assert_array_equal(right["a copy of less than there is room for"][4:16], 4 * x[4:16])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: np.zeros(64)}, "argument 0: must be a contiguous array of float32"),
        ({0: np.zeros((64, 2), np.float32)[:, 0]}, "argument 0: must be a contiguous array of float32"),
        ({2: 1}, "argument 2: 1 is no NumPy int32"),
        ({2: np.int64(1)}, "is no NumPy int32"),
        ({3: np.int32(1)}, "4 arguments for 3 parameters"),
    ],
)
def test_arguments_are_what_the_kernel_declares(module, change, message):
    args: dict[int, Any] = {0: np.zeros(64, np.float32), 1: np.zeros(64, np.float32), 2: np.int32(1)} | change
    with pytest.raises(KernelError, match=message):
        module.get_function("right0")((1,), (64,), tuple(args.values()))


LISTS = {
    "right": ("y[b][t] = x[b][t];", None),
    "past_the_end": ("y[b][t + b] = x[b][t];", r"outside argument 1\[1\]|written next to argument 1"),
    "to_an_input": ("((float*)x[b])[t] = 1;", r"write of read-only argument 0\[[01]\]"),
    "race": ("if (t < 32) y[1][t] = x[b][t];", r"race on argument 1\[1\] at byte 0: written by another block"),
    "no_such_array": ("y[b][t] = x[b + 2][t];", r"read outside argument 0 \(16 bytes\)"),
}
"""Kernels that take lists of two arrays, of 64 and of 32 numbers, a block each; and what is wrong with them."""


@pytest.fixture(scope="module")
def listed(builds: Path) -> Module:
    head = (
        'extern "C" __global__ void {}(const float* const* x, float* const* y) {{ '
        "const int t = threadIdx.x, b = blockIdx.x; if (b && t >= 32) return; {} }}"
    )
    return Module("\n".join(head.format(name, body) for name, (body, _) in LISTS.items()), list(LISTS), builds)


@pytest.mark.parametrize("name", LISTS)
def test_arrays_of_lists_are_watched_like_others(listed, name):
    x = [np.arange(size, dtype=np.float32) for size in (64, 32)]
    y = [np.zeros_like(array) for array in x]
    if LISTS[name][1] is None:
        listed.get_function(name)((2,), (64,), (x, y))
        np.testing.assert_equal(y, x)
    else:
        with pytest.raises(KernelError, match=LISTS[name][1]):
            listed.get_function(name)((2,), (64,), (x, y))


def test_a_list_is_taken_where_the_kernel_declares_one(module, listed):
    one = np.zeros(64, np.float32)
    with pytest.raises(KernelError, match="argument 0: takes no list of arrays"):
        module.get_function("right0")((1,), (64,), ([one], one, np.int32(1)))
    with pytest.raises(KernelError, match=r"argument 0\[1\]: must be a contiguous array of float32"):
        listed.get_function("right")((1,), (64,), ([one, np.zeros(32)], [one, one]))
