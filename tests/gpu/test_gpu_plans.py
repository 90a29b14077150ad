"""Every plan that the tuner can choose, on a GPU, against float64: the passes that GPUs are judged by."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import pytest
from checks.plans import assert_within, operation
from checks.tasks import PASSES, task

from gpucnn import dispatch
from gpucnn.backend import Device
from gpucnn.cuda import plans
from gpucnn.cuda.families import apart
from gpucnn.cuda.machine import architecture
from gpucnn.cuda.plans import Plan, Task
from gpucnn.halves import named
from gpucnn.tuning.clock import clock
from gpucnn.tuning.tuner import RESULTS, Tuner, dtype_of, shapes

pytestmark = pytest.mark.gpu

SUITE: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "LeNet 1": ((512, 28, 28, 1), (6, 5, 5, 1), {"padding": 2}),
    "LeNet 2": ((512, 14, 14, 6), (16, 5, 5, 6), {}),
    "ResNet-20 1": ((128, 32, 32, 16), (16, 3, 3, 16), {"padding": 1}),
    "ResNet-20 2": ((128, 16, 16, 32), (32, 3, 3, 32), {"padding": 1}),
    "ResNet-20 3": ((128, 8, 8, 64), (64, 3, 3, 64), {"padding": 1}),
    "ResNet-20 stride": ((128, 32, 32, 16), (32, 3, 3, 16), {"padding": 1, "stride": 2}),
    "airbench 1": ((1024, 31, 31, 24), (64, 3, 3, 24), {"padding": 1}),
    "airbench 2": ((1024, 15, 15, 64), (256, 3, 3, 64), {"padding": 1}),
    "airbench 3": ((1024, 7, 7, 256), (256, 3, 3, 256), {"padding": 1}),
    "ResNet-50 7x7": ((128, 224, 224, 3), (64, 7, 7, 3), {"padding": 3, "stride": 2}),
    "ResNet-50 56": ((128, 56, 56, 64), (64, 3, 3, 64), {"padding": 1}),
    "ResNet-50 stride": ((128, 56, 56, 128), (128, 3, 3, 128), {"padding": 1, "stride": 2}),
    "ResNet-50 14": ((128, 14, 14, 256), (256, 3, 3, 256), {"padding": 1}),
    "ResNet-50 7": ((128, 7, 7, 512), (512, 3, 3, 512), {"padding": 1}),
    "ResNet-50 1x1 56": ((128, 56, 56, 64), (256, 1, 1, 64), {}),
    "ResNet-50 1x1 14": ((128, 14, 14, 1024), (256, 1, 1, 1024), {}),
    "ResNet-50 1x1 stride": ((128, 56, 56, 256), (512, 1, 1, 256), {"stride": 2}),
    "VGG 224": ((32, 224, 224, 64), (64, 3, 3, 64), {"padding": 1}),
    "VGG 56": ((32, 56, 56, 256), (256, 3, 3, 256), {"padding": 1}),
    "depthwise 56": ((128, 56, 56, 144), (144, 3, 3, 1), {"padding": 1}),
    "depthwise 14": ((128, 14, 14, 512), (512, 3, 3, 1), {"padding": 1}),
    "dense": ((512, 1, 1, 400), (120, 1, 1, 400), {}),
}

MODES = [("float32", "exact"), ("float32", "fast"), ("float32", "tf32"), ("float16", "exact"), ("bfloat16", "exact")]


def on(gpu: Device, name: str, which: Any, dtype: str, how: Any) -> Task:
    x_shape, w_shape, window = SUITE[name]
    found = task(which, x_shape, w_shape, how=how, **window)
    return found._replace(dtype=dtype, architecture=architecture(gpu.asarray(np.zeros(1))))


def numbers(gpu: Device, task: Task) -> dict[str, Any]:
    """Return what a task reads, on the GPU: random numbers, none of them known to an earlier run."""
    rng = np.random.default_rng()
    found = {}
    for name, shape in shapes(task).items():
        if name not in RESULTS[task.which]:
            host = np.resize(rng.standard_normal(min(1_000_003, math.prod(shape)), np.float32), shape)
            found[name] = gpu.asarray(host, named(task.dtype))
    return found


def computed(gpu: Device, task: Task, plan: Plan, given: dict[str, Any]) -> list[Any]:
    found = {name: gpu.xp.full(shapes(task)[name], np.nan, dtype_of(task, name)) for name in RESULTS[task.which]}
    plans.families()[plan.family].run(plan, task, {**given, **found})
    return list(found.values())


@pytest.mark.parametrize("mode", MODES, ids="-".join)
@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize("name", SUITE)
def test_every_plan_is_right(name, which, mode, gpu):
    if mode[0] == "bfloat16" and importlib.util.find_spec("ml_dtypes") is None:
        pytest.skip("bfloat16 is that of ml_dtypes, which is not installed")
    found = on(gpu, name, which, *mode)
    given = numbers(gpu, found)
    wide = [array.astype(np.float64) for array in given.values()]
    with dispatch.using("reference"):
        right, size = operation(found, wide), operation(found, [abs(array) for array in wide])
    for plan in plans.candidates(found):
        assert_within(found, plan, *computed(gpu, found, plan, given), right, size)
    gpu.release()


@pytest.mark.parametrize("mode", MODES[:1] + MODES[3:4], ids="-".join)
@pytest.mark.parametrize("name", SUITE)
def test_both_gradients_are_right(name, mode, gpu):
    found = on(gpu, name, "both_gradients", *mode)
    given = numbers(gpu, found)
    for plan in plans.candidates(found):
        for one, result in zip(apart.passes(found), computed(gpu, found, plan, given), strict=True):
            wide = [given[name].astype(np.float64) for name in shapes(one) if name in given]
            with dispatch.using("reference"):
                right, size = operation(one, wide), operation(one, [abs(array) for array in wide])
            assert_within(one, plan, result, right, size)
    gpu.release()


@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize("name", SUITE)
def test_results_are_the_same_in_every_run_and_with_one_order_of_sums(name, which, gpu):
    """Of every plan twice; and plain, tiled and depthwise among each other, in as many pieces."""
    found = on(gpu, name, which, "float32", "exact")
    given, firsts = numbers(gpu, found), {}  # type: dict[str, Any], dict[int, Any]
    for plan in plans.candidates(found):
        (first,), (second,) = (computed(gpu, found, plan, given) for _ in range(2))
        assert bool((first == second).all()), f"{plan}: {found}"
        if plan.family in ("plain", "tiled", "depthwise"):
            expected = firsts.setdefault(dict(plan.options).get("pieces", 1), first)
            assert bool((first == expected).all()), f"{plan}: {found}"


def test_the_tuner_times_what_it_finds(gpu):
    """No plan of a usual pass fails, and times are those of work: more of it takes longer."""
    small, large = (
        Tuner(gpu, clock(gpu)).measure(on(gpu, name, "forward", "float32", "fast"))
        for name in ("ResNet-20 3", "ResNet-50 56")
    )
    assert not small.failed
    assert not large.failed
    assert 0 < small.seconds[small.plan] < large.seconds[large.plan]
